"""The workspace of a room: what the host has that the room lacks goes in, what a run changed comes out.

What comes out is checked here: paths stay below the folder and never go through a link, sizes are bounded, and
there are ordinary files and folders only.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from agenthost.sandboxes.inside import records
from agenthost.sandboxes.inside.frames import Broken
from agenthost.sandboxes.inside.tree import LONGEST_PATH, Tree

# As many files and folders as a scan of the workspace's store would look at.
MOST_ENTRIES = 80_000
_PIECE = 65536
_BATCH = 512 * 1024


class TooMuch(Broken):
    """The room tells of more than a run may leave."""


class Outgoing:
    """What the room lacks, in batches of bytes. Its methods block: call them in a thread."""

    def __init__(self, tree: Tree) -> None:
        self.entries = 0
        self._pieces = self._all(tree)

    def batch(self) -> bytes:
        """The next half megabyte or less; empty at the end."""
        found = bytearray()
        for piece in self._pieces:
            found += piece
            if len(found) >= _BATCH:
                break
        return bytes(found)

    def _all(self, tree: Tree) -> Iterator[bytes]:
        for head in tree.changes():
            self.entries += len(head.get("gone") or head.get("folders") or "1")
            if "file" not in head:
                yield records.pack(head)
                continue
            try:
                file = tree.open(head["file"])
            except OSError:
                continue  # gone since it was seen
            try:
                # Never more than was announced, and filled up where it has become less.
                left = os.fstat(file).st_size
                yield records.pack({**head, "size": left})
                while left:
                    piece = os.read(file, min(left, _PIECE)) or bytes(min(left, _PIECE))
                    left -= len(piece)
                    yield piece
            finally:
                os.close(file)


class Incoming:
    """Takes in what a run changed. `apply` blocks: call it in a thread; everything else is on the loop.

    `most` bounds the bytes of all files together. Raises Broken where the room tells what can't be, TooMuch where it tells too much.
    """

    def __init__(self, tree: Tree, most: int = 0) -> None:
        self._tree = tree
        self.most = most
        self._entries = 0
        self._path = ""
        self._size = 0
        self._file = -1
        self._todo: list[tuple[str, Any]] = []
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Bytes of content that wait to be written."""
        return self._waiting

    def head(self, head: dict[str, Any]) -> None:
        """A record's head."""
        if "file" in head:
            size = head.get("size")
            if not isinstance(size, int):
                raise Broken("a file without a size")
            if size > self.most:
                raise TooMuch("it changed more than it may")
            self.most -= size
            self._count(1)
            self._todo.append(("file", _checked(head["file"])))
        elif "gone" in head or "folders" in head:
            kind = "gone" if "gone" in head else "folders"
            try:
                paths = msgspec.convert(head[kind], list[str])
            except msgspec.ValidationError as problem:
                raise Broken("paths that are no list of texts") from problem
            self._count(1)  # also a record that says nothing
            for path in paths:
                self._count(1)
                self._todo.append((kind, _checked(path)))
        else:
            raise Broken("an unknown record")

    def content(self, piece: bytes) -> None:
        self._waiting += len(piece)
        self._todo.append(("content", piece))

    def done(self) -> None:
        self._todo.append(("done", None))

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MOST_ENTRIES:
            raise TooMuch("it changed more files than it may")

    def take(self) -> list[tuple[str, Any]]:
        """What is to be applied."""
        todo, self._todo, self._waiting = self._todo, [], 0
        return todo

    def apply(self, todo: list[tuple[str, Any]]) -> None:
        """Do it to the folder."""
        for what, value in todo:
            if what == "gone":
                self._tree.remove(value)
            elif what == "folders":
                self._tree.folder(value)
            elif what == "file":
                self._path, self._file = value, self._tree.begin(value)
            elif what == "content":
                while value:
                    value = value[os.write(self._file, value) :]
            else:
                self._tree.finish(self._path, self._file, time.time_ns())
                self._file = -1

    def close(self) -> None:
        """Let go, wherever it stands."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _checked(path: object) -> str:
    """A path below the workspace, as the room told it. Raises Broken."""
    if not isinstance(path, str):
        raise Broken("a path that is no text")
    try:
        encoded = path.encode()
    except UnicodeEncodeError as problem:
        raise Broken("a path that is no Unicode") from problem
    names = encoded.split(b"/")
    if len(encoded) > LONGEST_PATH or b"\0" in encoded or any(name in (b"", b".", b"..") for name in names):
        raise Broken("a path that leads elsewhere")
    if any(len(name) > 255 for name in names):
        raise Broken("a name that is too long")
    return path
