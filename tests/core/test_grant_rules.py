"""What a grant covers: exact as JSON is, patterns that can't be climbed out of, nothing that it doesn't know."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.grants import Always, Grant, covers, describe, like, rules_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def grant(arguments: dict[str, Any], always: Always | None = None) -> Grant:
    always = always or Always()
    return Grant("g", "default", "ann", "agent", "a", "t", "ann", 1.0, rules_of(arguments, always), always.anything)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_a_grant_covers_the_call_it_was_given_for(arguments: dict[str, Any]) -> None:
    assert covers(grant(arguments), arguments)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_one_covers_another_call_only_where_it_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    import msgspec

    encoder = msgspec.json.Encoder(order="sorted")
    assert covers(grant(one), other) == (encoder.encode(one) == encoder.encode(other))


@pytest.mark.parametrize(("given_for", "call"), [(1, True), (0, False), (1, 1.0), ("1", 1), (None, ""), ([], {})])
def test_values_that_python_calls_equal_are_not(given_for: Any, call: Any) -> None:
    assert not covers(grant({"a": given_for}), {"a": call})


def test_an_argument_more_or_less_is_asked_about() -> None:
    for always in (Always(), Always(any=("a",)), Always(like={"a": "**"})):
        found = grant({"a": "x"}, always)
        assert covers(found, {"a": "x"})
        assert not covers(found, {"a": "x", "force": True})
        assert not covers(found, {})


def test_what_is_said_to_be_anything_is_anything() -> None:
    assert covers(grant({"a": 1, "b": 2}, Always(any=("b",))), {"a": 1, "b": [None]})
    assert not covers(grant({"a": 1, "b": 2}, Always(any=("b",))), {"a": 2, "b": 2})
    assert covers(grant({"a": 1}, Always(anything=True)), {"c": 1})


@pytest.mark.parametrize(
    ("text", "pattern", "is_like"),
    [
        ("reports/may.txt", "reports/*", True),
        ("reports/", "reports/*", True),
        ("reports", "reports/*", False),
        ("reports/a/b", "reports/*", False),
        ("reports/a/b", "reports/**", True),
        ("reports/../secret", "reports/**", False),
        ("reports/..", "reports/*", False),
        ("reports/%2e%2e/secret", "reports/**", False),
        ("reports/%2E./secret", "reports/**", False),
        ("reports\\..\\secret", "reports/**", False),
        ("reports/..%2fsecret", "reports/*", False),
        ("../up", "../*", True),
        ("a..b", "a*b", True),
        ("reports/a\nrm -r", "reports/*", False),
        ("reports/a\n", "reports/*", False),
        ("reports/a\x00b", "**", False),
        ("report.", "report?", False),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("[x]", "[x]", True),
        ("x", "[x]", False),
        ("", "*", True),
    ],
)
def test_a_pattern_is_kept_to(text: str, pattern: str, is_like: bool) -> None:
    assert like(text, pattern) is is_like


def test_a_pattern_is_for_texts() -> None:
    assert not covers(grant({"a": "x"}, Always(like={"a": "**"})), {"a": 5})


def test_what_is_covered_is_said() -> None:
    found = grant({"path": "a", "body": "b", "to": {"x": 1}}, Always(like={"path": "reports/*"}, any=("body",)))
    assert describe(found) == 'path is like "reports/*", body is anything, to = {"x":1}'
    assert describe(grant({})) == "no arguments"
    assert describe(grant({"a": 1}, Always(anything=True))) == "any arguments"


@pytest.mark.parametrize(
    "text",
    [
        "eve@attacker.example, x@corp.example",
        "eve@attacker.example x@corp.example",
        "<eve@attacker.example>x@corp.example",
    ],
)
def test_a_pattern_of_an_address_is_like_one_address(text: str) -> None:
    assert like("anna.berg@corp.example", "*@corp.example")
    assert not like(text, "*@corp.example")
