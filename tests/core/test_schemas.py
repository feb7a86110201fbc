from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agenthost.core.schemas import plainly_fits

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 2.0, "", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
SCALARS = st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind})
BEYOND = st.sampled_from(
    [{}, True, False, {"enum": ["x"]}, {"const": 1}, {"type": ["string", "null"]}, {"type": "integer", "minimum": 1}]
    + [{"type": "string", "pattern": "^y"}, {"anyOf": [{"type": "null"}]}, {"type": "array", "maxItems": 1}]
)
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    SCALARS | BEYOND,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array")}, optional={"items": inner}),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(NAMES, inner, max_size=3),
                "required": st.lists(NAMES, max_size=2, unique=True),
                "additionalProperties": st.booleans() | inner,
                "minProperties": st.integers(0, 2),
            },
        ),
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_it_never_says_yes_where_the_validator_says_no(schema: Any, value: Any) -> None:
    if plainly_fits(schema, value):
        assert Draft202012Validator(schema).is_valid(value)


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "description": "Who."}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name"],
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize("value", [{"name": "Ada"}, {"name": "Ada", "tags": []}, {"name": "", "tags": ["x", "y"]}])
def test_it_says_yes_to_ordinary_arguments(value: dict[str, Any]) -> None:
    assert plainly_fits(PERSON, value)


@pytest.mark.parametrize("value", [{}, {"name": 1}, {"name": "Ada", "tags": [1]}, {"name": "Ada", "more": 1}, None, []])
def test_it_leaves_the_rest_to_the_validator(value: Any) -> None:
    assert not plainly_fits(PERSON, value)
    assert not plainly_fits({"type": "integer"}, True)
    assert not plainly_fits({"type": "integer"}, 2.0)
