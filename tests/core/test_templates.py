import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.templates import Expression, TemplateError, fill, parse, render, sources, text_of


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("plain } text { here }}", ("plain } text { here }}",)),
        ("a {{ b.c }} d", ("a ", Expression("b.c", 5), " d")),
        ("{{a}}{{ b }}", (Expression("a", 2), Expression("b", 8))),
        ('{{ {"a": {"b": 1}}.a }}', (Expression('{"a": {"b": 1}}.a', 3),)),
        ('{{ x["}}"] }}!', (Expression('x["}}"]', 3), "!")),
        ("{{ 'it\\'s }}' + y }}", (Expression("'it\\'s }}' + y", 3),)),
        ('{{ """a"}}""" + b }}', (Expression('"""a"}}""" + b', 3),)),
        ("{{ '{{' }}x{{ '}}' }}", ("{{", "x", "}}")),
        ("a\n{{\n  b\n}}", ("a\n", Expression("b", 7))),
    ],
)
def test_a_template_is_texts_and_expressions(text: str, pieces: object) -> None:
    assert parse(text) == pieces


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("ab {{ x", 3, "never closed"),
        ("{{ 'x }}", 0, "quote inside"),
        ("a{{  }}", 1, "holds no expression"),
        ("{{ [1 }}", 0, "never closed"),
    ],
)
def test_what_is_no_template_says_where_and_why(text: str, offset: int, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        parse(text)
    assert caught.value.offset == offset


@settings(deadline=None)
@given(st.text())
def test_text_without_braces_stands_for_itself(text: str) -> None:
    text = text.replace("{{", "{ {")
    assert render(parse(text), {}) == text


@settings(deadline=None)
@given(st.text(alphabet="{}ab'\" .", max_size=30))
def test_any_text_is_a_template_or_a_named_mistake(text: str) -> None:
    try:
        pieces = parse(text)
    except TemplateError as error:
        assert 0 <= error.offset < len(text)
    else:
        for piece in pieces:
            if isinstance(piece, Expression):
                assert text.startswith(piece.source, piece.offset)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, ""),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        ([1, None], "[1,null]"),
        ({"a": "é"}, '{"a":"é"}'),
    ],
)
def test_a_value_as_text(value: object, text: str) -> None:
    assert text_of(value) == text
    assert render(parse("<{{ v }}>"), {"v": value}) == f"<{text}>"


def test_values_can_be_quoted_for_where_they_go() -> None:
    assert render(parse("ls {{ v }}"), {"v": "a b"}, lambda text: f"'{text}'") == "ls 'a b'"


def test_sources_are_named_once_from_everywhere_in_a_value() -> None:
    value = {"a": "{{ x }} {{ y }}", "b": ["{{ x }}", 3, {"{{ no }}": "{{ z }}"}], "c": None}
    assert sources(value) == ["x", "y", "z"]


def test_a_text_that_is_one_expression_becomes_its_value_and_not_its_text() -> None:
    value = {"whole": "{{ x }}", "spaced": " {{ x }}\n", "part": "n={{ x }}", "both": "{{ x }}{{ y }}", "n": 3}
    assert fill(value, {"x": [1], "y": None}) == {"whole": [1], "spaced": [1], "part": "n=[1]", "both": "[1]", "n": 3}
    assert fill(["{{ '{{' }}", "plain"], {}) == ["{{", "plain"]
