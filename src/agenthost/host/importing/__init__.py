"""Tasks that were done elsewhere, taken in from their exports to be looked at, replayed, forked and exported again.

`adopting` makes of an export what is kept here; nothing in it is believed that its journals don't show, and nothing of it is
ever carried out. `desk` has the use-case.
"""
