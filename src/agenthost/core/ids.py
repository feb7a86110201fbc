"""Names of tasks, commands and contents. Randomness and time come in as arguments."""

import hashlib

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def _base32(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def task_id(milliseconds: int, randomness: int) -> str:
    """A root task's id: 9 characters of time (sortable), 7 of randomness (35 bits)."""
    return _base32(milliseconds, 9) + _base32(randomness, 7)


def named_by(key: str) -> str:
    """A root task's id that follows from a key, so that what is asked for twice is begun once."""
    hashed = int(hashlib.sha256(key.encode()).hexdigest(), 16)
    return task_id(hashed % 2**45, (hashed >> 45) % 2**35)


def child_id(parent: str, command: str) -> str:
    """A child task's id follows from its parent's and the command's, so asking twice makes one child."""
    return f"{parent}.{command}"


def root_id(task: str) -> str:
    """The id of the root of `task`'s tree."""
    return task.partition(".")[0]


def digest(content: bytes) -> str:
    """The content hash by which files and definitions are kept: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
