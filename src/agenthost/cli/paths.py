"""Files that a person named, read and written; whatever goes wrong is said in a line."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agenthost.core.errors import BadInput


@contextmanager
def _said(path: str, verb: str, hint: str = "") -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BadInput(f"there is no file '{path}'" if verb == "read" else f"there is no folder for '{path}'") from None
    except IsADirectoryError:
        raise BadInput(f"'{path}' is a folder; name a file") from None
    except FileExistsError:
        raise BadInput(f"'{path}' is there already{hint}") from None
    except UnicodeDecodeError:
        raise BadInput(f"'{path}' is not text in UTF-8") from None
    except OSError as error:
        raise BadInput(f"'{path}' can't be {verb}: {error.strerror}{hint}") from error


def read_text(path: str) -> str:
    """A file's text, `-` for stdin. Raises BadInput."""
    with _said(path, "read"):
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")


def read_bytes(path: str) -> bytes:
    """A file's content. Raises BadInput."""
    with _said(path, "read"):
        return Path(path).read_bytes()


def write(path: str, content: bytes, new: bool = False, option: str = "--out") -> None:
    """Write a file; where `new`, only one that isn't there yet. `option` names it on the command line. Raises BadInput."""
    with _said(path, "written", f"; name another with {option}"), open(path, "xb" if new else "wb") as file:
        file.write(content)
