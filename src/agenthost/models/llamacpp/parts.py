"""Names of the files of a split model: `NAME-00001-of-00003.gguf` and so on, as llama.cpp writes and reads them."""

import re
from pathlib import Path

from msgspec import Struct

SUFFIX = ".gguf"
_SPLIT = re.compile(r"(?P<name>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})")
MOST = 1_000
"""Parts of one model; the largest have some dozens."""


class Split(Struct, frozen=True):
    """Which part of which model a file is, by its name."""

    name: str
    number: int
    count: int

    @property
    def files(self) -> list[str]:
        """The names of all parts' files, in their order."""
        return [f"{self.name}-{number:05d}-of-{self.count:05d}{SUFFIX}" for number in range(1, self.count + 1)]


def split_of(file: str) -> Split | None:
    """What the name of a file says, with or without `.gguf`; None where it is no part of several."""
    found = _SPLIT.fullmatch(file.removesuffix(SUFFIX))
    if found is None:
        return None
    split = Split(found["name"], int(found["number"]), int(found["count"]))
    return split if 1 <= split.number <= split.count <= MOST else None


def first_part(folder: Path, name: str) -> Path | None:
    """The first part of the split model `name` in a folder, where one is there."""
    found = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (split := split_of(path.name)) is not None
        and (split.name, split.number) == (name, 1)
        and path.suffix == SUFFIX
    )
    return found[0] if found else None
