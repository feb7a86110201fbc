"""The difference between two sets of files, for a person to read before it is applied. Pure."""

import difflib

_LARGEST = 512 * 1024  # bytes of a file above which only its size is told: difflib needs quadratic time


def file_diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """The unified diff of one file; None where it isn't there. Empty where nothing differs.

    Of binary and of very large files it says that they differ, and their sizes in bytes.
    """
    if before == after:
        return ""
    shown = path if path.isprintable() else repr(path)[1:-1]
    old = "/dev/null" if before is None else f"a/{shown}"
    new = "/dev/null" if after is None else f"b/{shown}"
    first, second = _lines(before), _lines(after)
    if first is None or second is None:
        return f"Binary files {old} ({len(before or b'')} bytes) and {new} ({len(after or b'')} bytes) differ\n"
    lines = list(difflib.unified_diff(first, second, old, new))
    if not lines:
        return f"--- {old}\n+++ {new}\n"  # an empty file came or went
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _lines(content: bytes | None) -> list[str] | None:
    if content is None:
        return []
    if len(content) > _LARGEST or b"\0" in content:
        return None
    try:
        return _exact(content.decode())
    except UnicodeDecodeError:
        return None


def _exact(text: str) -> list[str]:
    # splitlines would split at a lone \r, \x0c and others too, and the lines would no longer be the file's.
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
