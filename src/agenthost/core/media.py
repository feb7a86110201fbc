"""What a file given by a person is, told from its bytes, and whether it can be used. Pure.

The rules of formats: PNG (W3C PNG 3rd edition, 5 and 11.2.1), JPEG (ITU-T T.81, B.1 and B.2.2), GIF
(GIF89a, 18), WebP (RFC 9649).
"""

import zlib
from collections.abc import Sequence

from msgspec import Struct

from agenthost.core.errors import BadInput

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")

_EXTENSIONS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "json": "application/json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "csv": "text/csv",
    "md": "text/markdown",
    "html": "text/html",
    "svg": "image/svg+xml",
    "py": "text/x-python",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}

_OTHERS = (
    (b"%PDF-", "application/pdf", "a PDF"),
    (b"PK\x03\x04", "application/zip", "a ZIP archive or an office document"),
    (b"BM", "image/bmp", "a BMP picture"),
    (b"II*\x00", "image/tiff", "a TIFF picture"),
    (b"MM\x00*", "image/tiff", "a TIFF picture"),
    (b"\x1f\x8b", "application/gzip", "a gzip archive"),
    (b"ID3", "audio/mpeg", "an MP3 recording"),
)


class FileLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """The most that a given file may be: bytes; for pictures also pixels in all and on one side."""

    size: int = 20 * 1024 * 1024
    pixels: int = 50_000_000
    side: int = 16_384


class FileFacts(Struct, frozen=True, omit_defaults=True):
    """What a file is; width and height in pixels where it is a picture."""

    media_type: str
    size: int
    width: int = 0
    height: int = 0


def picture_type(content: bytes) -> str | None:
    """The media type of a PNG, JPEG, GIF or WebP by its first bytes, None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def media_type(name: str, content: bytes) -> str:
    """What a file is: by its bytes, and only where they leave it open by its name."""
    picture = picture_type(content)
    if picture:
        return picture
    for magic, media, _ in _OTHERS:
        if content.startswith(magic):
            return media
    if _is_heic(content):
        return "image/heic"
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return "audio/wav"
    by_name = _EXTENSIONS.get(_extension(name), "")
    if _is_text(content):
        textual = by_name.startswith("text/") or by_name in ("application/json", "application/yaml", "image/svg+xml")
        return by_name if textual else "text/plain"
    return by_name if by_name.startswith("audio/") else "application/octet-stream"


def named_type(name: str) -> str:
    """The media type that a name alone tells, for a file whose bytes are not at hand; text where it tells nothing."""
    return _EXTENSIONS.get(_extension(name), "text/plain")


def check_file(
    name: str,
    content: bytes,
    accept: Sequence[str] = (),
    limits: FileLimits | None = None,
    full_size: int | None = None,
) -> FileFacts:
    """What the file is, where it can be used. `accept` are media types (`image/png`, `image/*`), none for any.

    `full_size` is the size in bytes where only the beginning was read because it is over the limit.
    Raises BadInput saying what to give instead.
    """
    limits = limits or FileLimits()
    size = len(content) if full_size is None else full_size
    if not size:
        raise BadInput(f"{name} is empty; give a file with something in it")
    if size > limits.size:
        hint = "a smaller or more compressed picture" if picture_type(content) else "a smaller file"
        raise BadInput(
            f"{name} has {_megabytes(size)}, and a file may have {_megabytes(limits.size)}; give {hint}, or raise the "
            "limit in the settings"
        )
    media = media_type(name, content)
    claimed = _EXTENSIONS.get(_extension(name), "")
    if claimed in PICTURES and media not in PICTURES:
        raise BadInput(f"{name} is not a picture: it holds {_described(media, content)}; {_ask_for(accept)}")
    if accept and not any(_matches(media, wanted) for wanted in accept):
        raise BadInput(f"{name} is {_described(media, content)}, which is not taken here; {_ask_for(accept)}")
    if media not in PICTURES:
        return FileFacts(media, size)
    width, height = dimensions(name, content)
    if width > limits.side or height > limits.side or width * height > limits.pixels:
        raise BadInput(
            f"{name} is {width:,} x {height:,} pixels; a picture may have {limits.side:,} on a side and "
            f"{limits.pixels:,} in all; scale it down"
        )
    return FileFacts(media, size, width, height)


def dimensions(name: str, content: bytes) -> tuple[int, int]:
    """Width and height in pixels from a picture's header. Raises BadInput where it is damaged or cut short."""
    readers = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
    media = picture_type(content)
    if media is None:
        raise BadInput(f"{name} is not a picture; {_ask_for(())}")
    try:
        width, height = readers[media](content)
    except (IndexError, ValueError) as error:
        raise BadInput(
            f"{name} is a damaged {media.removeprefix('image/').upper()} picture ({error}); save or download it again"
        ) from None
    if width <= 0 or height <= 0:
        raise BadInput(f"{name} has no pixels ({width} x {height}); save or download it again")
    return width, height


def _number(content: bytes, at: int, length: int, order: str = "big") -> int:
    piece = content[at : at + length]
    if len(piece) < length:
        raise ValueError("it is cut short")
    return int.from_bytes(piece, "little" if order == "little" else "big")


def _png(content: bytes) -> tuple[int, int]:
    if content[12:16] != b"IHDR" or _number(content, 8, 4) != 13:
        raise ValueError("its header is missing")
    if zlib.crc32(content[12:29]) != _number(content, 29, 4):
        raise ValueError("its header's checksum is wrong")
    at = 8
    while content[at + 4 : at + 8] != b"IEND":
        at += _number(content, at, 4) + 12
        if at + 12 > len(content):
            raise ValueError("it is cut short")
    return _number(content, 16, 4), _number(content, 20, 4)


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if _number(content, at, 1) != 0xFF:
            raise ValueError("a marker is missing in its header")
        while _number(content, at, 1) == 0xFF:  # fill bytes
            at += 1
        marker = content[at]
        at += 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the frame headers
            return _number(content, at + 5, 2), _number(content, at + 3, 2)
        if marker in (0xD9, 0xDA):
            raise ValueError("its frame header is missing")
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue  # these stand alone
        at += max(2, _number(content, at, 2))


def _gif(content: bytes) -> tuple[int, int]:
    return _number(content, 6, 2, "little"), _number(content, 8, 2, "little")


def _webp(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        return _number(content, 24, 3, "little") + 1, _number(content, 27, 3, "little") + 1
    if kind == b"VP8L":
        if _number(content, 20, 1) != 0x2F:
            raise ValueError("its header is missing")
        bits = _number(content, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        if content[23:26] != b"\x9d\x01\x2a":
            raise ValueError("its header is missing")
        return _number(content, 26, 2, "little") & 0x3FFF, _number(content, 28, 2, "little") & 0x3FFF
    raise ValueError("its header is missing")


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _is_heic(content: bytes) -> bool:
    return content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")


def _is_text(content: bytes) -> bool:
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _described(media: str, content: bytes) -> str:
    for magic, _, words in _OTHERS:
        if content.startswith(magic):
            return words
    if media in PICTURES:
        return f"a {media.removeprefix('image/').upper()} picture"
    if media == "image/heic":
        return "a HEIC or AVIF picture"
    if media == "application/octet-stream":
        return "binary data of no known kind"
    return "text" if _is_text(content) else media


def _ask_for(accept: Sequence[str]) -> str:
    pictures = [media for media in PICTURES if not accept or any(_matches(media, wanted) for wanted in accept)]
    if pictures and (not accept or all(wanted.startswith("image/") for wanted in accept)):
        names = [media.removeprefix("image/").upper().replace("WEBP", "WebP") for media in pictures]
        listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
        return f"give a {listed} picture"
    return "give " + " or ".join(accept)


def _matches(media: str, wanted: str) -> bool:
    return wanted in ("*", "*/*", media) or (wanted.endswith("/*") and media.startswith(wanted[:-1]))


def _megabytes(size: int) -> str:
    return f"{size / (1024 * 1024):.1f} MB".replace(".0 MB", " MB")
