"""What runs inside the outer containment: the launcher that waits there and forks each run.

Python's library only, and nothing of ours above: this folder alone is mounted in the sandbox.
`launcher` forks, `cell` is one run's pid 1, `rooms` builds its root, `cage` takes everything away,
`watch` bounds memory and disk, `warm` runs Python as `python` would, `linux` calls the kernel.
"""
