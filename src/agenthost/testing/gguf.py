"""Tiny models with random weights, which a real llama.cpp loads and runs: the words are nonsense, everything else is real.

The file's format is GGUF version 3 (specification: `docs/gguf.md` of the project ggml). The vocabulary is GPT-2's way of
writing printable ASCII, one character a token, so that every text can be said and read back.
"""

import random
import struct
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A chat template without a section for tools: a model that has it never calls one."""

_SPECIAL = ("<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>")
_SPACES = ("Ġ", "Ċ", "ĉ")  # space, line break and tab, as GPT-2's byte alphabet writes them
_PRINTABLE = tuple(chr(code) for code in range(33, 127))
VOCABULARY = (*_SPECIAL, *_SPACES, *_PRINTABLE)

_UINT16, _UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 2, 4, 5, 6, 7, 8, 9
_ALIGNMENT = 32
_POOL = 1 << 16  # random numbers that all weights are taken from

Tensor = tuple[str, tuple[int, ...]]


class TinyModel(Struct, frozen=True):
    """The shape of a model of the `llama` architecture. `width` must be a multiple of `heads`. `pooling` makes it one for
    embeddings (1 is the mean). `ones`: names of tensors that are all 1 end so."""

    name: str = "tiny"
    context: int = 4096
    width: int = 64
    blocks: int = 2
    heads: int = 4
    inner: int = 128
    pooling: int | None = None
    chat: str = CHAT
    seed: int = 1


class TinyProjector(Struct, frozen=True):
    """The shape of a projector (`mmproj`) that shows pictures to a TinyModel of the width `width`: a CLIP encoder and two
    layers above it. A picture becomes (image / patch)² tokens."""

    width: int = 64
    inside: int = 32
    image: int = 32
    patch: int = 8
    blocks: int = 2
    seed: int = 2


def write_model(path: Path, model: TinyModel | None = None, more: Mapping[str, Any] | None = None) -> Path:
    """Write a model of random weights: 384 KB and 20 ms as it stands. `more`: values of its head, over its own."""
    model = model or TinyModel()
    values = _values_of(model) | dict(more or {})
    return _write(path, values, _tensors_of(model), model.seed)


def write_split(path: Path, parts: int, model: TinyModel | None = None) -> list[Path]:
    """Write the same model as several files, `NAME-00001-of-00003.gguf` and so on, as llama.cpp splits them."""
    model = model or TinyModel()
    tensors = _tensors_of(model)
    written: list[Path] = []
    for number in range(parts):
        values: dict[str, Any] = {} if number else _values_of(model)
        values |= {"split.no": Short(number), "split.count": Short(parts), "split.tensors.count": Signed(len(tensors))}
        file = path.with_name(f"{path.stem}-{number + 1:05d}-of-{parts:05d}{path.suffix}")
        written.append(_write(file, values, tensors[number::parts], model.seed + number))
    return written


class Short(int):
    """A number that a file keeps in 16 bits."""


class Signed(int):
    """A number that a file keeps with its sign."""


def _values_of(model: TinyModel) -> dict[str, Any]:
    """What the head says of a model."""
    of = "llama."
    values: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": model.name,
        "general.file_type": 0,
        of + "context_length": model.context,
        of + "embedding_length": model.width,
        of + "block_count": model.blocks,
        of + "feed_forward_length": model.inner,
        of + "attention.head_count": model.heads,
        of + "attention.head_count_kv": model.heads,
        of + "attention.layer_norm_rms_epsilon": 1e-5,
        of + "rope.dimension_count": model.width // model.heads,
        of + "vocab_size": len(VOCABULARY),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": list(VOCABULARY),
        "tokenizer.ggml.token_type": [3] * len(_SPECIAL) + [1] * (len(VOCABULARY) - len(_SPECIAL)),
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 3,
        "tokenizer.ggml.add_bos_token": False,
    }
    if model.chat:
        values["tokenizer.chat_template"] = model.chat
    if model.pooling is not None:
        values[of + "pooling_type"] = model.pooling
    return values


def _tensors_of(model: TinyModel) -> list[Tensor]:
    wide, inner, words = model.width, model.inner, len(VOCABULARY)
    tensors: list[Tensor] = [
        ("token_embd.weight", (words, wide)),
        ("output.weight", (words, wide)),
        ("output_norm.weight", (wide,)),
    ]
    for number in range(model.blocks):
        block = f"blk.{number}."
        tensors += [(f"{block}{kind}_norm.weight", (wide,)) for kind in ("attn", "ffn")]
        tensors += [(f"{block}attn_{kind}.weight", (wide, wide)) for kind in ("q", "k", "v", "output")]
        tensors += [(f"{block}ffn_{kind}.weight", (inner, wide)) for kind in ("gate", "up")]
        tensors.append((f"{block}ffn_down.weight", (wide, inner)))
    return tensors


def write_projector(path: Path, projector: TinyProjector | None = None) -> Path:
    """Write a projector of random weights: 124 KB as it stands. What the model says depends on the picture."""
    projector = projector or TinyProjector()
    wide, inside = projector.width, projector.inside
    values: dict[str, Any] = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": projector.image,
        "clip.vision.patch_size": projector.patch,
        "clip.vision.embedding_length": inside,
        "clip.vision.feed_forward_length": 2 * inside,
        "clip.vision.projection_dim": wide,
        "clip.vision.block_count": projector.blocks,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
    }
    places = (projector.image // projector.patch) ** 2 + 1
    tensors: list[Tensor] = [
        ("v.patch_embd.weight", (inside, 3, projector.patch, projector.patch)),
        ("v.class_embd", (inside,)),
        ("v.position_embd.weight", (places, inside)),
    ]
    tensors += [(f"v.{norm}.{kind}", (inside,)) for norm in ("pre_ln", "post_ln") for kind in ("weight", "bias")]
    for number in range(projector.blocks):
        block = f"v.blk.{number}."
        for kind in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors += [(f"{block}{kind}.weight", (inside, inside)), (f"{block}{kind}.bias", (inside,))]
        tensors += [(f"{block}{norm}.{kind}", (inside,)) for norm in ("ln1", "ln2") for kind in ("weight", "bias")]
        tensors += [(f"{block}ffn_up.weight", (2 * inside, inside)), (f"{block}ffn_up.bias", (2 * inside,))]
        tensors += [(f"{block}ffn_down.weight", (inside, 2 * inside)), (f"{block}ffn_down.bias", (inside,))]
    tensors += [("mm.0.weight", (wide, inside)), ("mm.0.bias", (wide,)), ("mm.2.weight", (wide, wide))]
    return _write(path, values, [*tensors, ("mm.2.bias", (wide,))], projector.seed)


def _write(path: Path, values: dict[str, Any], tensors: list[Tensor], seed: int) -> Path:
    """The file: the head, the values, where each tensor lies, and the tensors, each at a multiple of the alignment."""
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values))]
    head += [_text(key) + _typed(value) for key, value in values.items()]
    at = 0
    sizes: list[int] = []
    for name, shape in tensors:
        size = 4
        for side in shape:
            size *= side
        sizes.append(size)
        # The fastest dimension comes first; type 0 is F32.
        head.append(_text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)))
        head.append(struct.pack("<IQ", 0, at))
        at += size + -size % _ALIGNMENT
    start = b"".join(head)
    dice = random.Random(seed)
    pool = array("f", (dice.uniform(-0.5, 0.5) for _ in range(_POOL))).tobytes()
    with path.open("wb") as file:
        file.write(start + bytes(-len(start) % _ALIGNMENT))
        for (name, _), size in zip(tensors, sizes, strict=True):
            ones = name.endswith(("norm.weight", "ln.weight", "ln1.weight", "ln2.weight"))
            file.write(array("f", [1.0]).tobytes() * (size // 4) if ones else _cut(pool, dice, size))
            file.write(bytes(-size % _ALIGNMENT))
    return path


def _cut(pool: bytes, dice: random.Random, size: int) -> bytes:
    """So many bytes of the pool, from somewhere in it on, round and round."""
    at = 4 * dice.randrange(len(pool) // 4)
    turned = pool[at:] + pool[:at]
    return (turned * (size // len(pool) + 1))[:size]


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    """A value with its type before it."""
    if isinstance(value, list):
        items = [_typed(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        kind = struct.pack("<I", _INT32) if isinstance(value[0], int) else items[0][:4]
        return struct.pack("<I", _ARRAY) + kind + struct.pack("<Q", len(items)) + b"".join(item[4:] for item in items)
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case Short():
            return struct.pack("<IH", _UINT16, value)
        case Signed():
            return struct.pack("<Ii", _INT32, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case _:
            return struct.pack("<I", _STRING) + _text(str(value))
