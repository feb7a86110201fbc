"""Searching with a regular expression that somebody wrote, in text that somebody else sent.

Python's `re` may take for ever with some patterns, holds its interpreter meanwhile and can't be stopped; so it searches in
a process of its own, which ends when it has had its time.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

SECONDS = 2
"""Of a processor, for one search. A plain one in 256 KiB takes milliseconds."""
_WITHIN = 30.0
_MEMORY = 512 * 1024 * 1024

_SEARCH = """
import re, resource, sys
seconds, memory = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
said = sys.stdin.buffer.read()
size = int.from_bytes(said[:4], 'big')
pattern, text = said[4 : 4 + size].decode(), said[4 + size :].decode('utf-8', 'replace')
print(int(re.search(pattern, text) is not None))
"""


class Endless(Exception):
    """A search that came to no end, or couldn't be begun; the text says what to do."""


async def found(pattern: str, body: bytes) -> bool:
    """Whether `pattern` is found in the text that `body` is. Raises Endless."""
    words = (sys.executable, "-I", "-S", "-c", _SEARCH, str(SECONDS), str(_MEMORY))
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/")
    encoded = pattern.encode()
    try:
        async with asyncio.timeout(_WITHIN):
            said, _ = await process.communicate(len(encoded).to_bytes(4, "big") + encoded + body)
    except TimeoutError:
        said = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if said not in (b"0\n", b"1\n"):
        raise Endless(
            f"the search for {pattern!r} in the body came to no end in {SECONDS} s of computing; write the expression "
            "without repetitions within repetitions, such as (a+)+"
        )
    return said == b"1\n"
