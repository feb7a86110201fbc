"""gVisor by `runsc` itself, where there is no Docker: a kernel of its own between the code and the machine.

`bundle` says what a container is made of, `keeper` holds the folder that containers live in and clears what a
killed host left, `container` is one of them. How the host works with what runs inside is `sandboxes/attached`.
"""
