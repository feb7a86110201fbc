"""The head of a GGUF is read as it was written, and a damaged one is refused with a reason."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput
from agenthost.models.llamacpp.gguf import describe, in_words, is_cut, read_header
from agenthost.testing.gguf import CHAT, VOCABULARY, TinyModel, write_model, write_projector, write_split


def test_a_head_says_what_the_model_is(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.gguf", TinyModel("mini", context=512, width=64, blocks=3, heads=4, pooling=1))
    header = read_header(file)
    assert (header.architecture, header.name, header.quantisation) == ("llama", "mini", "F32")
    assert (header.context, header.width, header.blocks, header.heads) == (512, 64, 3, 4)
    assert header.kv_widths == (128, 128, 128)
    assert header.vocabulary == len(VOCABULARY)
    assert header.chat_template == CHAT
    assert header.embeds
    assert header.size == file.stat().st_size
    assert describe(header) == f"llama, F32, {in_words(file.stat().st_size)}"


def test_a_projector_is_known_as_one(tmp_path: Path) -> None:
    assert read_header(write_projector(tmp_path / "mmproj.gguf")).projector


def test_a_split_model_is_as_large_as_its_parts_and_needs_them_all(tmp_path: Path) -> None:
    whole = write_model(tmp_path / "m.gguf").read_bytes()
    key = b"split.count"
    count = struct.pack("<Q", len(key)) + key + struct.pack("<IH", 2, 2)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + count
    first = tmp_path / "m-00001-of-00002.gguf"
    first.write_bytes(head)
    with pytest.raises(BadInput, match="m-00002-of-00002.gguf is missing"):
        read_header(first)
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(whole)
    assert read_header(first).size == len(head) + len(whole)


def test_a_file_that_was_cut_behind_its_head_is_told_by_its_weights(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.gguf", TinyModel(blocks=1))
    whole = file.read_bytes()
    assert not is_cut(file)
    for left in (len(whole) - 300, len(whole) // 2, 3_000, 100, 5):
        file.write_bytes(whole[:left])
        assert is_cut(file)
        with pytest.raises(
            BadInput, match=r"it was cut: it has [0-9,]+ bytes, and its weights end at|middle of its head"
        ):
            read_header(file)


def test_of_a_split_model_no_part_may_be_cut(tmp_path: Path) -> None:
    first, second = write_split(tmp_path / "m.gguf", 2)
    assert read_header(first).size == first.stat().st_size + second.stat().st_size
    second.write_bytes(second.read_bytes()[:-300])
    with pytest.raises(BadInput, match=r"of its 2 parts, m-00002-of-00002.gguf was cut"):
        read_header(first)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>not found</html>", "doesn't begin as a GGUF"),
        (b"", "ends in the middle of its head"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "version of GGUF is 1"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**60), "head is damaged"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**40), "head is damaged"),
    ],
)
def test_what_is_no_model_is_refused_with_its_name(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=why) as caught:
        read_header(file)
    assert str(file) in caught.value.message


@settings(deadline=None)
@given(cut=st.integers(0, 3_000), at=st.integers(0, 3_000), byte=st.integers(0, 255))
def test_whatever_is_cut_or_changed_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(write_model(folder / "m.gguf", TinyModel(width=8, heads=2, inner=8, blocks=1)).read_bytes())
    content[at] = byte
    (folder / "m.gguf").write_bytes(content[: len(content) - cut])
    try:
        read_header(folder / "m.gguf")
    except BadInput as error:
        assert "m.gguf" in error.message


@pytest.mark.parametrize(
    "value",
    [
        {"general.file_type": "Q4"},
        {"llama.block_count": [1, 2]},
        {"llama.block_count": float("inf")},
        {"llama.context_length": float("nan")},
        {"llama.context_length": ["many"]},
        {"llama.attention.head_count": ["many"]},
        {"llama.attention.key_length": [1, 2]},
        {"llama.pooling_type": "mean"},
        {"split.count": [1, 2]},
    ],
    ids=str,
)
def test_a_head_with_values_of_the_wrong_type_is_refused_as_damaged(tmp_path: Path, value: dict[str, Any]) -> None:
    file = write_model(tmp_path / "m.gguf", TinyModel(blocks=1), value)
    with pytest.raises(BadInput, match=r"m.gguf is no model that can be used: its head is damaged\. Fetch"):
        read_header(file)
