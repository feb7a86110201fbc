"""The one file in a `multipart/form-data` body (RFC 7578), as it comes: nothing of it is held but the other fields."""

from collections import deque
from collections.abc import AsyncIterator
from email.message import Message

from agenthost.core.errors import BadInput

MULTIPART = "multipart/form-data"
_MOST_FIELDS = 64 * 1024
"""Bytes of all fields together that are no file."""


def boundary_of(content_type: str) -> bytes:
    """What separates the parts. Raises BadInput."""
    head = Message()
    head["Content-Type"] = content_type
    found = head.get_param("boundary")
    if not isinstance(found, str) or not found or not found.isascii():
        raise BadInput(
            "the body is multipart/form-data without a boundary; send the file as the body itself, or mend that"
        )
    return found.encode()


class Upload:
    """`name` is known once `pieces` has given something, or ended. Raises BadInput where there isn't exactly one file.
    `fields` are the others by name: those before the file from `begin` on, all of them at the end."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        from python_multipart.multipart import MultipartParser

        self.name = ""
        self.fields: dict[str, str] = {}
        self._body = body
        self._waiting: deque[bytes] = deque()
        self._files = 0
        self._in_file = False
        self._told = ""
        self._text = b""
        self._held = 0
        self._field = b""
        self._ended = False
        callbacks = {
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        self._parser = MultipartParser(boundary_of(content_type), callbacks)  # pyright: ignore[reportArgumentType]
        self._value = b""

    async def begin(self) -> None:
        """Read up to where the file begins."""
        while not self._files and not self._ended:
            if not await self._more():
                break
        if not self._files:
            raise BadInput("the body has no file in it; give one part of the form a `filename`")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file's bytes."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if not await self._more():
                break
        while self._waiting:
            yield self._waiting.popleft()
        if not self._ended:
            raise BadInput("the body ends before its last boundary; send all of it")

    async def _more(self) -> bool:
        from python_multipart.exceptions import ParseError

        piece = await anext(self._body, None)
        if piece is None:
            return False
        try:
            self._parser.write(piece)
        except ParseError as error:
            raise BadInput(f"the body is no multipart/form-data: {error}") from error
        return True

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            head = Message()
            head["Content-Disposition"] = self._value.decode(errors="replace").replace("\r", "").replace("\n", "")
            name = head.get_filename()
            told = head.get_param("name", header="Content-Disposition")
            self._told, self._text = str(told or ""), b""
            if name is not None:
                self._files += 1
                if self._files > 1:
                    raise BadInput("the body has several files; send one at a time")
                self.name = name
                self._in_file = True
        self._field = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._waiting.append(data[start:end])
            return
        self._held += end - start
        if self._held > _MOST_FIELDS:
            raise BadInput(f"the fields of the form have more than {_MOST_FIELDS:,} bytes; send less beside the file")
        self._text += data[start:end]

    def _on_part_end(self) -> None:
        if not self._in_file and self._told:
            self.fields[self._told] = self._text.decode(errors="replace")
        self._in_file, self._told = False, ""

    def _on_end(self) -> None:
        self._ended = True
