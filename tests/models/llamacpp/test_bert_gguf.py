"""A sentence model that `scripts/bert_gguf.py` wrote says through llama.cpp what its own arithmetic says."""

import json
import math
import random
import struct
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from tests.models.llamacpp.conftest import Open

SCRIPT = Path(__file__).parents[3] / "scripts" / "bert_gguf.py"
WIDE, INNER, HEADS = 32, 64, 2
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "paint", "the", "fence", "river", "##s", "##ing", "poem"]
SHAPES = {
    "embeddings.word_embeddings.weight": (len(WORDS), WIDE),
    "embeddings.position_embeddings.weight": (64, WIDE),
    "embeddings.token_type_embeddings.weight": (2, WIDE),
    "embeddings.LayerNorm": (WIDE,),
    "encoder.layer.0.attention.self.query": (WIDE, WIDE),
    "encoder.layer.0.attention.self.key": (WIDE, WIDE),
    "encoder.layer.0.attention.self.value": (WIDE, WIDE),
    "encoder.layer.0.attention.output.dense": (WIDE, WIDE),
    "encoder.layer.0.attention.output.LayerNorm": (WIDE,),
    "encoder.layer.0.intermediate.dense": (INNER, WIDE),
    "encoder.layer.0.output.dense": (WIDE, INNER),
    "encoder.layer.0.output.LayerNorm": (WIDE,),
}

Matrix = list[list[float]]


def weights() -> dict[str, tuple[tuple[int, ...], list[float]]]:
    """Random ones: a weight and a bias of each layer."""
    dice = random.Random(3)
    found: dict[str, tuple[tuple[int, ...], list[float]]] = {}
    for name, shape in SHAPES.items():
        around = 1.0 if name.endswith("LayerNorm") else 0.0
        size = math.prod(shape)
        values = array("f", [around + dice.uniform(-0.5, 0.5) for _ in range(size)]).tolist()
        if name.endswith(".weight"):
            found[name] = (shape, values)
            continue
        found[f"{name}.weight"] = (shape, values)
        bias = array("f", [dice.uniform(-0.2, 0.2) for _ in range(shape[0])]).tolist()
        found[f"{name}.bias"] = ((shape[0],), bias)
    return found


def written(folder: Path, given: dict[str, tuple[tuple[int, ...], list[float]]], kind: str = "bert") -> Path:
    """A folder as Sentence Transformers keep it."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    config = {"model_type": kind, "hidden_size": WIDE, "intermediate_size": INNER, "num_hidden_layers": 1}
    config |= {"num_attention_heads": HEADS, "max_position_embeddings": 64, "type_vocab_size": 2}
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-12}))
    head: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, (shape, values) in given.items():
        data = array("f", values).tobytes()
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    top = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(top)) + top + body)
    return folder


def run(folder: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(out)], capture_output=True, text=True, check=False
    )


class Bert:
    """The arithmetic of one layer of BERT (Devlin et al., 2018), and the mean of what comes out."""

    def __init__(self, given: dict[str, tuple[tuple[int, ...], list[float]]]) -> None:
        self._given = given

    def vector(self, tokens: list[int]) -> list[float]:
        """Of length 1."""
        pieces = [self._rows(f"embeddings.{kind}_embeddings.weight") for kind in ("word", "position", "token_type")]
        x = [[a + b + c for a, b, c in zip(pieces[0][token], pieces[1][at], pieces[2][0], strict=True)]
             for at, token in enumerate(tokens)]  # fmt: skip
        x = self._norm(x, "embeddings.LayerNorm")
        layer = "encoder.layer.0"
        attended = self._linear(self._attention(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
        x = self._norm(_added(x, attended), f"{layer}.attention.output.LayerNorm")
        inner = [
            [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in row]
            for row in self._linear(x, f"{layer}.intermediate.dense")
        ]
        x = self._norm(_added(x, self._linear(inner, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
        mean = [sum(column) / len(x) for column in zip(*x, strict=True)]
        size = math.sqrt(sum(v * v for v in mean))
        return [v / size for v in mean]

    def _attention(self, x: Matrix, name: str) -> Matrix:
        q, k, v = (self._linear(x, f"{name}.{kind}") for kind in ("query", "key", "value"))
        each = WIDE // HEADS
        out: Matrix = [[] for _ in x]
        for head in range(0, WIDE, each):
            part = slice(head, head + each)
            for at, row in enumerate(q):
                scores = [
                    sum(a * b for a, b in zip(row[part], other[part], strict=True)) / math.sqrt(each) for other in k
                ]
                grown = [math.exp(score - max(scores)) for score in scores]
                out[at] += [
                    sum(g * value[column] for g, value in zip(grown, v, strict=True)) / sum(grown)
                    for column in range(head, head + each)
                ]
        return out

    def _rows(self, name: str) -> Matrix:
        shape, values = self._given[name]
        return [values[at : at + shape[1]] for at in range(0, len(values), shape[1])]

    def _linear(self, x: Matrix, name: str) -> Matrix:
        rows, bias = self._rows(f"{name}.weight"), self._given[f"{name}.bias"][1]
        return [
            [sum(a * b for a, b in zip(row, one, strict=True)) + c for one, c in zip(rows, bias, strict=True)]
            for row in x
        ]

    def _norm(self, x: Matrix, name: str) -> Matrix:
        weight, bias = self._given[f"{name}.weight"][1], self._given[f"{name}.bias"][1]
        made: Matrix = []
        for row in x:
            mean = sum(row) / len(row)
            spread = math.sqrt(sum((v - mean) ** 2 for v in row) / len(row) + 1e-12)
            made.append([(v - mean) / spread * w + b for v, w, b in zip(row, weight, bias, strict=True)])
        return made


def _added(one: Matrix, other: Matrix) -> Matrix:
    return [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(one, other, strict=True)]


async def test_llama_cpp_says_of_a_converted_model_what_its_weights_say(
    catalog: Open, models: Path, tmp_path: Path
) -> None:
    given = weights()
    done = run(written(tmp_path / "bert", given), models / "bert.gguf")
    assert done.returncode == 0, done.stderr
    offered = await catalog().abilities("llamacpp:bert")
    found = (await offered.embed(["Paint the fence", "rivers painting"])).vectors
    (models / "bert.gguf").unlink()
    bert = Bert(given)
    for vector, tokens in zip(found, ([2, 5, 6, 7, 3], [2, 8, 9, 5, 10, 3]), strict=True):
        own = bert.vector(tokens)
        assert len(vector) == WIDE
        assert sum(a * b for a, b in zip(vector, own, strict=True)) == pytest.approx(1.0, abs=1e-3)


def test_what_is_no_such_model_is_said(tmp_path: Path) -> None:
    done = run(written(tmp_path / "other", weights(), "roberta"), tmp_path / "out.gguf")
    assert done.returncode == 1 and "only 'bert' is known here" in done.stderr
    assert not (tmp_path / "out.gguf").exists()
