import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core import expressions
from agenthost.core.errors import Permanent
from agenthost.core.expressions import BUILTINS, lookup, reads, simple_path

NAMES = {"steps": {"spec": {"text": "hi", "items": [{"ok": True}]}}, "input": {"a b": 1}}


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("item", ("item",)),
        ("steps.spec.text", ("steps", "spec", "text")),
        ("steps['spec'].items[0].ok", ("steps", "spec", "items", 0, "ok")),
        (" steps.spec.items[-1] ", ("steps", "spec", "items", -1)),
        ("steps.spec.text + 'x'", None),
        ("steps.get('spec')", None),
        ("steps[item]", None),
        ("steps[True]", None),
        ("'text'.upper", None),
        ("3", None),
        ("steps.", None),
        ("", None),
    ],
)
def test_a_simple_path_is_only_names_attributes_and_constant_subscripts(source: str, path: object) -> None:
    assert simple_path(source) == path


def test_lookup_follows_a_path_through_objects_and_lists() -> None:
    assert lookup(("steps", "spec", "items", 0, "ok"), NAMES) is True
    assert lookup(("input", "a b"), NAMES) == 1
    assert lookup(("steps", "spec", "text", -1), NAMES) == "i"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("steps", "spec", "txt"), "steps.spec has no 'txt'; did you mean 'text'?"),
        (("step",), "there is no 'step' here; did you mean 'steps'?"),
        (("steps", "spec", "items", 3), r"steps.spec.items has 1 items; there is none at \[3\]"),
        (("steps", "spec", "text", "words"), "steps.spec.text is text, which has no 'words'"),
        (("input", "zzz"), "input has no 'zzz'; there is a b"),
    ],
)
def test_lookup_says_what_is_there_instead(path: expressions.Path, message: str) -> None:
    with pytest.raises(Permanent, match=message) as caught:
        lookup(path, NAMES)
    assert caught.value.code == "script-error"


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("steps.check.ok and input.deploy", (("steps", "check", "ok"), ("input", "deploy"))),
        ("steps.spec.text.strip().lower()", (("steps", "spec", "text"),)),
        ("len(steps.a.items) > input['n']", (("steps", "a", "items"), ("input", "n"))),
        ("[row.name for row in steps.a.data if row.ok]", (("steps", "a", "data"),)),
        ("sorted(items, key=lambda x: x.n)", (("items",),)),
        ("f'{steps.a.text} {b}'", (("steps", "a", "text"), ("b",))),
        ("steps[item].text", (("steps",), ("item",))),
        ("a.b + a.b", (("a", "b"),)),
        ("call(x.y, z=w.v)", (("call",), ("x", "y"), ("w", "v"))),
        ("1 +", ()),
    ],
)
def test_reads_are_the_paths_that_an_expression_takes_from_outside(source: str, paths: object) -> None:
    assert reads(source) == paths


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "expected an expression"),
        ("x = 1", "line 1, column"),
        ("a b", "line 1, column"),
        ("\0", "line 1, column 1"),
        ("(" * 3000, "line 1, column"),
        ("x" * 5000, "too long: 5,000 characters, at most 4,000"),
        ("(yield)", "not part of the script language"),
        ("await x", "line 1, column"),
    ],
)
def test_what_is_no_expression_says_why(source: str, message: str) -> None:
    assert message in str(expressions.mistake(source))


def test_an_expression_has_no_mistake() -> None:
    assert expressions.mistake("steps.check.ok\n  or input.force") is None


def test_functions_of_a_script_are_known_by_name_and_parameters() -> None:
    source = "import re\ndef instructions(task): ...\nasync def no(): ...\ndef f(a, /, b, *, c): ...\nx = lambda: 1"
    assert expressions.functions(source) == {"instructions": ("task",), "f": ("a", "b", "c")}
    assert expressions.functions("def f(:") == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os", "can't import 'os'; it may import base64"),
        ("import json, time", "can't import 'time'"),
        ("from os.path import join", "can't import 'os.path'"),
        ("from . import x", "can't import '.'"),
        ("from re import *", "name what is imported"),
        ("x = 1\n\nclass A(B): pass", "line 3, column 1: a class that inherits"),
        ("try:\n  pass\nexcept* ValueError:\n  pass", "except*"),
        ("def f():\n  return (", "line 2"),
        ("x" * 100_001, "too long"),
    ],
)
def test_what_is_no_script_says_why(source: str, message: str) -> None:
    assert message in str(expressions.script_mistake(source))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_readable_or_has_a_mistake(source: str) -> None:
    if expressions.mistake(source) is None:
        reads(source)
        simple_path(source)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b c", "items", 0, 1, -1]), min_size=1, max_size=5))
def test_a_path_as_people_write_it_is_read_back(keys: list[str | int]) -> None:
    path = ("root", *keys)
    assert simple_path(expressions.dotted(path)) == path


def test_functions_that_may_be_called_are_no_names_that_must_be_there() -> None:
    assert all(reads(f"{name}(1)") == () for name in BUILTINS)
