"""Reads the head of a GGUF file: what a model is and how large, without its weights.

Source: `docs/gguf.md` of the project ggml. Versions 2 and 3 are read, little-endian.
"""

import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, cast

from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.models.llamacpp.parts import split_of

MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MOST_VALUES = 100_000
_LONGEST_KEY = 65_535  # bytes, by the specification
_LONGEST_TEXT = 16 * 1024 * 1024  # bytes; a chat template has a few thousand
_MOST_TEXT = 64 * 1024 * 1024  # bytes of all texts that are kept
_MOST_ITEMS = (
    4_000_000  # of an array of texts, over which one must go one by one; the largest vocabularies have 300,000
)
_LONGEST_KEPT = 4_096  # items of an array that are kept; of a longer one (a vocabulary) only the length is

_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
_TENSORS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""Numbers in a block and bytes that it takes, by the type of a tensor (`ggml_type` in ggml.h)."""
_MOST_SIDES = 4
_ALIGNMENT = 32
_POOLINGS = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}


class Header(Struct, frozen=True):
    """What a GGUF says of itself. `size`: bytes of the file and of the other parts of a split model. `context`: tokens
    that it was trained with. `kv_widths`: for each block, the numbers that it keeps of a token (keys and values
    together). `pooling` is set for models that make embeddings. `projector`: it is one (`mmproj`), no model."""

    architecture: str
    name: str = ""
    size: int = 0
    quantisation: str = ""
    context: int = 0
    width: int = 0
    inner: int = 0
    blocks: int = 0
    heads: int = 0
    vocabulary: int = 0
    kv_widths: tuple[int, ...] = ()
    chat_template: str = ""
    pooling: str = ""

    @property
    def projector(self) -> bool:
        """Whether it shows pictures to a model, and is none itself."""
        return self.architecture == "clip"

    @property
    def embeds(self) -> bool:
        """Whether it is made for embeddings."""
        return self.pooling not in ("", "none")


class Damaged(ValueError):
    """Says what is wrong with a file."""


class Cut(Damaged):
    """A file ends before what it says of itself does."""


def read_header(path: Path, parts: bool = True) -> Header:
    """The head of the file. Raises BadInput where it isn't there or is no whole head of a GGUF, and, unless not `parts`,
    where the other parts of a split model are missing."""
    try:
        values = _read(path)
        return _header(values, _size(path, values) if parts else path.stat().st_size)
    except OSError as error:
        raise BadInput(f"The model {path} can't be read: {error.strerror or error}.") from None
    except (TypeError, ValueError, OverflowError) as error:
        # What it says of itself may be of any type.
        reason = str(error) if isinstance(error, Damaged) else "its head is damaged"
    raise BadInput(f"{path} is no model that can be used: {reason}. Fetch the GGUF file again.")


def is_cut(path: Path) -> bool:
    """Whether the file ends before its weights do, as far as its head tells."""
    try:
        _read(path)
    except Cut:
        return True
    except (OSError, TypeError, ValueError, OverflowError):
        return False
    return False


def _read(path: Path) -> dict[str, Any]:
    """The values of a file's head. Raises Damaged, and Cut where not all of its weights can be there."""
    with path.open("rb") as file:
        try:
            values, tensors = _values(file)
            least = _least(file, values, tensors)
        except struct.error:
            raise Cut("it ends in the middle of its head") from None
    size = path.stat().st_size
    if size < least:
        raise Cut(f"it was cut: it has {size:,} bytes, and its weights end at {least:,}")
    return values


def _least(file: BinaryIO, values: dict[str, Any], count: int) -> int:
    """Where the last of the weights ends. The table of them follows the values; of a type that isn't known, only the beginning is."""
    if count > _MOST_VALUES:
        raise Damaged("its head is damaged")
    end = 0
    for _ in range(count):
        _text(file, _LONGEST_KEY)
        (sides,) = struct.unpack("<I", file.read(4))
        if sides > _MOST_SIDES:
            raise Damaged("its head is damaged")
        numbers = math.prod(struct.unpack(f"<{sides}Q", file.read(8 * sides)))
        kind, offset = struct.unpack("<IQ", file.read(12))
        each, taken = _TENSORS.get(kind, (1, 0))
        end = max(end, offset + numbers // each * taken)
    alignment = int(values.get("general.alignment", _ALIGNMENT)) or _ALIGNMENT
    return file.tell() + -file.tell() % alignment + end if count else file.tell()


def _header(values: dict[str, Any], size: int) -> Header:
    architecture = str(values.get("general.architecture", ""))

    def number(key: str) -> int:
        value = values.get(f"{architecture}.{key}", 0)
        return int(max(cast(list[int], value), default=0) if isinstance(value, list) else value)

    words: Any = values.get("tokenizer.ggml.tokens", 0)
    return Header(
        architecture=architecture,
        name=str(values.get("general.name", "")),
        size=size,
        quantisation=_FILE_TYPES.get(int(values.get("general.file_type", -1)), ""),
        context=number("context_length"),
        width=number("embedding_length"),
        inner=number("feed_forward_length"),
        blocks=number("block_count"),
        heads=number("attention.head_count"),
        vocabulary=len(cast(list[Any], words)) if isinstance(words, list) else int(words),
        kv_widths=_kv_widths(values, architecture),
        chat_template=str(values.get("tokenizer.chat_template", "")),
        pooling=_POOLINGS.get(int(values.get(f"{architecture}.pooling_type", -1)), ""),
    )


def _kv_widths(values: dict[str, Any], architecture: str) -> tuple[int, ...]:
    """Numbers kept of a token, block by block. Some models have other heads in each block, and blocks without any."""

    def each(key: str, default: int) -> list[int]:
        value: Any = values.get(f"{architecture}.{key}")
        if isinstance(value, list):
            return [int(item) for item in cast(list[int], value)]
        return [int(value if value is not None else default)] * blocks

    blocks = min(int(values.get(f"{architecture}.block_count", 0)), _LONGEST_KEPT)
    heads = each("attention.head_count", 0)
    width = int(values.get(f"{architecture}.embedding_length", 0))
    kept = each("attention.head_count_kv", max(heads, default=0))
    of_head = width // max(heads) if heads and max(heads) else 0
    key = int(values.get(f"{architecture}.attention.key_length", of_head))
    value = int(values.get(f"{architecture}.attention.value_length", of_head))
    return tuple(count * (key + value) for count in kept[:blocks])


def _size(path: Path, values: dict[str, Any]) -> int:
    """Bytes of the model, all parts of a split one together (`NAME-00001-of-00003.gguf`)."""
    parts = int(values.get("split.count", 1))
    split = split_of(path.name)
    if parts <= 1 or split is None or split.number != 1:
        return path.stat().st_size
    missing = [name for name in split.files if not (path.parent / name).is_file()]
    if missing:
        raise Damaged(f"it is one of {split.count} parts, and {missing[0]} is missing")
    for name in split.files[1:]:
        if is_cut(path.parent / name):
            raise Cut(f"of its {split.count} parts, {name} was cut")
    return sum((path.parent / name).stat().st_size for name in split.files)


def _values(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The values, and how many tensors the table after them tells of."""
    magic, version = struct.unpack("<4sI", file.read(8))
    if magic != MAGIC:
        raise Damaged("it doesn't begin as a GGUF does")
    if version not in (2, 3):
        raise Damaged(f"its version of GGUF is {version}; 2 and 3 can be read")
    tensors, count = struct.unpack("<QQ", file.read(16))
    if count > _MOST_VALUES:
        raise Damaged("its head is damaged")
    found: dict[str, Any] = {}
    kept = 0
    for _ in range(count):
        key = _text(file, _LONGEST_KEY)
        (kind,) = struct.unpack("<I", file.read(4))
        found[key] = _value(file, kind)
        kept += len(found[key]) if isinstance(found[key], str) else 0
        if kept > _MOST_TEXT:
            raise Damaged("its head is damaged")
    return found, tensors


def _text(file: BinaryIO, most: int = _LONGEST_TEXT) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > most:
        raise Damaged("its head is damaged")
    data = file.read(length)
    if len(data) < length:
        raise Cut("it ends in the middle of its head")
    return data.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        return _array(file)
    if kind not in _SCALARS:
        raise Damaged(f"its head has a value of the unknown type {kind}")
    form = "<" + _SCALARS[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _array(file: BinaryIO) -> list[Any] | int:
    """The items of an array, or the number of them where they are many."""
    kind, count = struct.unpack("<IQ", file.read(12))
    if count <= _LONGEST_KEPT and kind != _ARRAY:
        return [_value(file, kind) for _ in range(count)]
    if kind in _SCALARS:
        file.seek(struct.calcsize("<" + _SCALARS[kind]) * count, 1)
    elif kind == _STRING and count > _MOST_ITEMS:
        raise Damaged("its head is damaged")
    elif kind == _STRING:
        for _ in range(count):
            (length,) = struct.unpack("<Q", file.read(8))
            file.seek(length, 1)
    else:
        raise Damaged("its head has arrays in arrays")
    return count


def describe(header: Header) -> str:
    """A model in a few words: its kind, quantisation and size."""
    words = [header.architecture, header.quantisation, in_words(header.size)]
    return ", ".join(word for word in words if word)


def in_words(size: float) -> str:
    """A number of bytes as people write it."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
