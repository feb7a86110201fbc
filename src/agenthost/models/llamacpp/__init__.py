"""Models of this machine: GGUF files that llama.cpp runs, each in a child process of its own.

`pull.py` and `fetching.py` bring them; `local.py` finds them by name; `server.py` starts, watches and stops a child;
`queue.py` gives its slots out fairly; `plan.py` chooses context and slots by the memory there is. The wire to a child
is `models/openai`'s.
"""
