"""Ids: sortable, unique by randomness, and those of children follow from their parents'."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.definitions import Bundle
from agenthost.core.ids import child_id, digest, root_id, task_id
from agenthost.core.parts import text_message
from agenthost.core.tasks import TaskSpec

MILLISECONDS = st.integers(0, 2**45 - 1)


def test_a_root_id_is_nine_characters_of_time_and_seven_of_randomness() -> None:
    assert task_id(0, 0) == "0" * 16
    assert task_id(1, 31) == "000000001000000z"
    assert task_id(32, 32) == "0000000100000010"
    assert task_id(2**45 - 1, 2**35 - 1) == "z" * 16


@given(MILLISECONDS, MILLISECONDS, st.integers(0, 2**35 - 1))
def test_ids_sort_by_time_and_are_easy_to_read(one: int, other: int, randomness: int) -> None:
    first, second = task_id(one, randomness), task_id(other, randomness)
    assert (first < second) == (one < other)
    assert len(first) == 16
    assert not set("ilou") & set(first + second)
    assert first == first.lower()


def test_a_child_s_id_follows_from_its_parent_and_the_command() -> None:
    child = child_id("abc", "code-1")
    assert child == "abc.code-1"
    assert child_id(child, "m1-0") == "abc.code-1.m1-0"
    assert root_id("abc.code-1.m1-0") == root_id("abc") == "abc"
    assert TaskSpec("abc.code-1", "agent", "a", "", text_message("person", "x")).root == "abc"


def test_a_digest_names_the_hash_and_the_content() -> None:
    assert digest(b"x") == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert digest(b"x") != digest(b"y")


def test_a_bundle_is_kept_under_the_hash_of_its_content() -> None:
    name, body = Bundle().encode()
    assert name == digest(body)
    assert Bundle.model_validate_json(body) == Bundle()
