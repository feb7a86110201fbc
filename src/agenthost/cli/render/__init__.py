"""What a person sees of a task: pure functions from the journal's events to lines.

`view` keeps what is known of a task tree and says what is worth telling (`moments`); `plain`,
`live` and `jsonl` tell it to a pipe, a terminal and a program. Nothing here reaches a host.
"""
