"""Calls in every way of writing come back as they were meant; text that is none is left alone, and nothing is slow."""

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agenthost.core.models import Calling, Delta, ModelAnswer, ModelCard, ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.dialects import arguments as mending
from agenthost.models.dialects import fenced, grammar, loose
from agenthost.models.dialects import repair as repairing
from agenthost.models.dialects.arguments import repaired
from agenthost.models.dialects.fitted import Fitted, dress, undress
from agenthost.models.dialects.gallery import gallery
from agenthost.models.dialects.repair import repair
from agenthost.models.dialects.schemas import simple
from agenthost.models.playbook import as_playbook
from agenthost.models.scripted import ScriptedModel
from agenthost.programs.agent.structured import problem, validator
from tests.models.conftest import Bench

WRITE = ToolSpec(
    "write_file",
    "Write a file.",
    {
        "type": "object",
        "properties": {"path": {"type": "string", "minLength": 1}, "content": {"type": "string"}},
        "required": ["path", "content"],
        "additionalProperties": False,
    },
)
COUNT = ToolSpec(
    "count_things",
    "Count.",
    {
        "type": "object",
        "properties": {
            "what": {"type": "string"},
            "most": {"type": "integer"},
            "deep": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["what"],
    },
)
TOOLS = (WRITE, COUNT)
NAMES = {tool.name for tool in TOOLS}
WHOLE_GALLERY = list(gallery().values())


def asked(*turns: Turn, **fields: Any) -> ModelRequest:
    return ModelRequest("m", "Be brief.", turns or (Turn("user", (TextPart("Go."),)),), TOOLS, **fields)


def answer(text: str, *calls: ToolCall, stop: Any = "end") -> ModelAnswer:
    return ModelAnswer((TextPart(text),) if text else (), calls, stop)


def called(made: ModelAnswer) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in made.calls]


# Text as a model may put it into arguments: code, quotes, brackets, other scripts. No marks of the ways of writing
# themselves (a closing tag inside an argument can't be told from one), no surrogates, no other line ends.
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85\ufeff\u200b\u200c\u200d\u2060")
    | st.just("\n"),
    max_size=40,
).filter(lambda text: "</" not in text)
names = st.text(string.ascii_letters + "./_-", min_size=1, max_size=20)
writes = st.fixed_dictionaries({"path": names, "content": texts})
counts = st.fixed_dictionaries(
    {"what": texts},
    optional={"most": st.integers(-(2**40), 2**40), "deep": st.booleans(), "tags": st.lists(texts, max_size=3)},
)
calls = st.lists(
    st.tuples(st.just("write_file"), writes) | st.tuples(st.just("count_things"), counts),
    min_size=1,
    max_size=3,
    unique_by=lambda call: json.dumps(call),
)


def as_json(name: str, arguments: Any) -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def python(value: Any) -> str:
    return repr(value)


def parameter(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


WAYS: dict[str, Any] = {
    "bare": lambda made: "\n".join(as_json(*call) for call in made),
    "array": lambda made: "[" + ", ".join(as_json(*call) for call in made) + "]",
    "fence": lambda made: "```json\n[" + ", ".join(as_json(*call) for call in made) + "]\n```",
    "tool-fence": lambda made: "\n".join(f"```tool\n{as_json(*call)}\n```" for call in made),
    "hermes": lambda made: "I do it.\n" + "\n".join(f"<tool_call>\n{as_json(*call)}\n</tool_call>" for call in made),
    "single-quotes": lambda made: (
        "<tool_call>" + python([{"name": n, "arguments": a} for n, a in made]) + "</tool_call>"
    ),
    "llama": lambda made: "".join(f"<function={n}>{json.dumps(a)}</function>" for n, a in made),
    "qwen-coder": lambda made: "".join(
        f"<tool_call>\n<function={n}>\n"
        + "".join(f"<parameter={k}>\n{parameter(v)}\n</parameter>\n" for k, v in a.items())
        + "</function>\n</tool_call>\n"
        for n, a in made
    ),
    "invoke": lambda made: (
        "<function_calls>\n"
        + "".join(
            f'<invoke name="{n}">\n'
            + "".join(f'<parameter name="{k}">{parameter(v)}</parameter>\n' for k, v in a.items())
            + "</invoke>\n"
            for n, a in made
        )
        + "</function_calls>"
    ),
    "mistral": lambda made: "[TOOL_CALLS][" + ", ".join(as_json(*call) for call in made) + "]",
    "mistral-args": lambda made: "".join(f"[TOOL_CALLS]{n}[ARGS]{json.dumps(a)}" for n, a in made),
    "deepseek": lambda made: (
        "<｜tool▁calls▁begin｜>"
        + "".join(
            f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{n}\n```json\n{json.dumps(a)}\n```<｜tool▁call▁end｜>"
            for n, a in made
        )
        + "<｜tool▁calls▁end｜>"
    ),
    "kimi": lambda made: (
        "<|tool_calls_section_begin|>"
        + "".join(
            f"<|tool_call_begin|>functions.{n}:{at}<|tool_call_argument_begin|>{json.dumps(a)}<|tool_call_end|>"
            for at, (n, a) in enumerate(made)
        )
        + "<|tool_calls_section_end|>"
    ),
    "harmony": lambda made: "".join(
        f"<|start|>assistant<|channel|>commentary to=functions.{n} <|constrain|>json<|message|>{json.dumps(a)}<|call|>"
        for n, a in made
    ),
    "functools": lambda made: "functools[" + ", ".join(as_json(*call) for call in made) + "]",
    "python-tag": lambda made: "<|python_tag|>" + "; ".join(as_json(*call) for call in made),
    "pythonic": lambda made: (
        "[" + ", ".join(f"{n}({', '.join(f'{k}={python(v)}' for k, v in a.items())})" for n, a in made) + "]"
    ),
    "grammar": lambda made: json.dumps({"calls": [{"name": n, "arguments": a} for n, a in made]}),
}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(made=calls)
def test_a_call_comes_back_from_every_way_of_writing_it(way: str, made: list[tuple[str, Any]]) -> None:
    if way in ("qwen-coder", "invoke"):  # there the line breaks around a value are the tag's
        made = [
            (name, {key: value.strip("\n") if isinstance(value, str) else value for key, value in given.items()})
            for name, given in made
        ]
        made = [pair for at, pair in enumerate(made) if pair not in made[:at]]
    assert called(repair(answer(WAYS[way](made)), asked())) == made


@settings(max_examples=60, deadline=None)
@given(made=calls)
def test_calls_that_the_provider_marked_well_stay_to_the_letter(made: list[tuple[str, Any]]) -> None:
    marked = tuple(ToolCall(f"c{at}", name, json.dumps(given)) for at, (name, given) in enumerate(made))
    given = answer("Words first.", *marked, stop="calls")
    assert repair(given, asked()) is given


pieces = st.sampled_from(
    [
        "<tool_call>", "</tool_call>", "<function=write_file>", "</function>", "<think>", "</think>", "```", "```tool\n",
        "```json\n", "[TOOL_CALLS]", "<|python_tag|>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<|channel|>", "<|message|>",
        "write_file", "delete_everything", "count_things(", "what=", "{", "}", "[", "]", '"', "'", '"name"', '"arguments"', ":",
        ",", "\\", "\n", " ", "1", "true", "null", "//", "/*", "Action: write_file\nAction Input:", "<parameter=path>",
        "</parameter>", "<invoke name=\"write_file\">", "<arg_key>", "to=functions.", "é", "&quot;", "\ud800", "\u200b",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    text=st.lists(pieces, max_size=40).map("".join) | st.text(max_size=60),
    stop=st.sampled_from(["end", "length"]),
    calling=st.sampled_from(["native", "grammar", "fenced"]),
    streamed=st.integers(1, 9),
)
@example("```tool\n{", "end", "fenced", 3)
@example('{"answer":"\\ud83d\\ude00 and', "length", "grammar", 1)
async def test_any_text_is_read_without_failing_and_calls_nothing_that_is_not_offered(
    text: str, stop: Any, calling: Calling, streamed: int
) -> None:
    told: list[Delta] = []
    model = Fitted(Echo(text, stop, streamed), ModelCard("m", calling=calling))
    made = await model.answer(asked(), told.append)
    assert {call.name for call in made.calls} <= NAMES
    # What was told adds up to the answer.
    words = ""
    for delta in told:
        words = "" if delta.reset else words + delta.text
    assert words == made.text


glances = (
    st.lists(pieces, max_size=12).map("".join)
    | st.text(max_size=60)
    | st.text("Action: Inpuwrt_fle~'\"\n#*-1{", max_size=60)
)


@settings(max_examples=600, deadline=None)
@given(text=glances)
@example('Action: count_things\nAction Input: "tea"')
@example("~~~tool\ncount_things\n~~~")
def test_what_is_plain_words_at_a_glance_is_so_when_it_is_read(text: str) -> None:
    if repairing.plain(text) and loose.characters(text) == text:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(repairing, "plain", lambda _: False)
            read = repair(answer(text), asked())
        assert read == answer(text) == repair(answer(text), asked())


class Echo:
    """A model that says one text, so many characters at once."""

    card = ModelCard("m")

    def __init__(self, text: str, stop: Any = "end", size: int = 5) -> None:
        self._answer = answer(text, stop=stop)
        self._size = size
        self.heard: list[ModelRequest] = []

    async def answer(self, request: ModelRequest, tell: Any) -> ModelAnswer:
        self.heard.append(request)
        text = self._answer.text
        for at in range(0, len(text), self._size):
            tell(Delta(text[at : at + self._size]))
        return self._answer


MEGABYTE = 1_000_000
HUGE = {
    "words": "word " * (MEGABYTE // 5),
    "brackets": "[" * MEGABYTE,
    "braces": '{"name": ' * (MEGABYTE // 9),
    "tags": "<tool_call>" * (MEGABYTE // 11),
    "tags-and-braces": '<tool_call>{"name": "write_file", "arguments": [1,' * (MEGABYTE // 48),
    "fences": "```tool\n" * (MEGABYTE // 8),
    "foreign-fences": "```x\n" * (MEGABYTE // 5),
    "thoughts": "<think>\n" * (MEGABYTE // 8),
    "thought-ends": "</think>\n" * (MEGABYTE // 9),
    "quotes": "\"'" * (MEGABYTE // 2),
    "backslashes": '{"name": "' + "\\" * MEGABYTE,
    "comments": '{"name" /*' * (MEGABYTE // 10),
    "spaces": "<tool_call>" + " " * MEGABYTE + "x",
    "lines": "\n" * MEGABYTE + "{",
    "names": "write_file(" * (MEGABYTE // 11),
    "parameters": "<function=write_file>" + "<parameter=a>" * (MEGABYTE // 13),
    "channels": "<|channel|>analysis<|message|>" * (MEGABYTE // 30),
    "actions": "Action: write_file\nAction Input: {\n" * (MEGABYTE // 35),
    "entities": "&quot;" * (MEGABYTE // 6),
    "ones": '{"calls": [' + "1," * (MEGABYTE // 2),
    "letters": "a" * MEGABYTE,
    "special": "<|" * (MEGABYTE // 2),
    "word-behind-a-fence": "```" + "a" * MEGABYTE + "`",
    "spaces-behind-a-fence": "```" + " " * MEGABYTE + "`",
    "one-fence": "`" * MEGABYTE,
    "ever-longer-fences": "".join("~" * length + "\n" for length in range(3, 1400)),
    "spaces-behind-a-name": "<tool_call>write_file" + " " * MEGABYTE + "x",
    "tags-named-as-a-tool": "<write_file>\n" * (MEGABYTE // 13),
    "lines-before-a-call": "\n" * MEGABYTE + "x\n" + as_json("count_things", {"what": "x"}),
    "lines-before-a-marked-call": "\n" * MEGABYTE + "x\n<tool_call>" + as_json("count_things", {"what": "x"}),
    "word-of-a-channel": "<|channel|>" + "a" * MEGABYTE,
    "names-that-are-nearly-right": "<tool_call>["
    + ",".join(as_json(f"wrute_fyle_{at}", {}) for at in range(MEGABYTE // 44))
    + "]",
    "calls": ",".join(as_json("count_things", {"what": str(at)}) for at in range(MEGABYTE // 59)),
}


@pytest.mark.parametrize("calling", ["native", "grammar", "fenced"])
@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.timeout(300)  # of seconds, where it takes one: hours, where reading took the square of them
def test_a_megabyte_of_anything_is_read_in_a_moment(kind: str, calling: Calling) -> None:
    made = undress(answer(HUGE[kind]), asked(), ModelCard("m", calling=calling), thought=HUGE[kind])
    assert {call.name for call in made.calls} <= NAMES


def test_a_megabyte_of_arguments_comes_back_whole() -> None:
    content = 'print("{}")\n' * 80_000
    made = repair(
        answer("<tool_call>" + as_json("write_file", {"path": "a", "content": content}) + "</tool_call>"), asked()
    )
    assert called(made) == [("write_file", {"path": "a", "content": content})]


@settings(max_examples=200, deadline=None)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12))  # fmt: skip
def test_json_and_pythons_own_writing_are_read_as_what_they_are(value: Any) -> None:
    assert loose.whole(json.dumps(value) + " ") == value
    assert loose.whole(repr(value) + " ") == value


scraps = st.sampled_from(
    [
        "{", "}", "[", "]", '"', "'", ":", ",", "\\", '"what"', '"most"', '"arguments"', '"name"', "count_things", "1", "-", ".",
        "e999", "\u0661", "99999999999999999999999", "\u00a0", "\u3000", "\ufeff", " ", "\n", "\ud800", "\\ud83d", "null", "None", "NaN",
        "true",
    ]
)  # fmt: skip
ANYTHING = st.lists(scraps, max_size=25).map("".join) | st.text(max_size=40)
SCHEMAS: list[Any] = [
    COUNT.parameters,
    WRITE.parameters,
    {},
    {"type": "object", "properties": None, "required": None},
    {"type": "object", "properties": {"what": True, "most": {"type": "number"}}},
    {"type": "object", "properties": {"what": {"type": "array", "items": {"type": "number"}}, "most": {"anyOf": []}}},
]


@settings(max_examples=400, deadline=None)
@given(text=ANYTHING, schema=st.sampled_from(SCHEMAS))
@example('\u00a0{"what": "a"}', COUNT.parameters)
@example('{"most": "1e999"}', SCHEMAS[4])
@example('{"most": "1\u0661"}', COUNT.parameters)
@example("{'most': 123456789012345678901234567890}", COUNT.parameters)
@example('{"what": ' + "[" * 900 + "]" * 900 + "}", COUNT.parameters)
def test_arguments_of_any_text_are_mended_to_an_object_or_left_as_they_were(text: str, schema: Any) -> None:
    mended = repaired(text, "count_things", schema)
    assert mended == text or isinstance(msgspec.json.decode(mended), dict)


@settings(max_examples=400, deadline=None)
@given(
    text=ANYTHING | st.fixed_dictionaries({}, optional={"what": texts, "most": st.integers() | texts, "deep": st.booleans() | st.none(), "x": texts}).map(json.dumps),
    schema=st.sampled_from(SCHEMAS),
)  # fmt: skip
def test_arguments_that_are_well_at_a_glance_are_left_as_they_were_when_they_are_mended(text: str, schema: Any) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mending, "_well", lambda *_: False)
        mended = repaired(text, "count_things", schema)
    assert repaired(text, "count_things", schema) == mended


@settings(max_examples=200, deadline=None)
@given(number=st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_quotes_is_the_number_or_stays_the_text(number: int | float) -> None:
    for kind in ("integer", "number"):
        schema = {"type": "object", "properties": {"n": {"type": kind}}}
        value = json.loads(repaired(json.dumps({"n": str(number)}), "tool", schema))["n"]
        assert value == str(number) or (value == number and isinstance(value, int) == isinstance(number, int))


@pytest.mark.parametrize("said", ["&#" + "1" * 5000 + ";", "&#x" + "f" * 5000 + ";", "&#1114112;", "&" * 5000])
def test_a_page_that_a_tool_returned_keeps_no_call_from_being_read(said: str) -> None:
    """Python refuses to read a number of thousands of digits; a page may hold one."""
    marked = "<tool_call>" + as_json("count_things", {"what": "x"}) + "</tool_call>"
    before = asked(
        Turn("user", (TextPart(f"Go. {said}"),)),
        Turn("assistant", calls=(ToolCall("c1", "count_things", '{"what": "y"}'),)),
        Turn("tool", (TextPart(said),), call_id="c1", name="count_things"),
    )
    assert called(repair(answer(marked), before)) == [("count_things", {"what": "x"})]
    assert called(repair(answer(f"{said}\n{marked}"), asked())) == [("count_things", {"what": "x"})]
    assert not repair(answer(f"&quot;{said}"), asked()).calls


@pytest.mark.parametrize(
    "text",
    [
        "<function=write_file><parameter=path>\ud800</parameter><parameter=content>x</parameter></function>",
        '<tool_call>{"name": "write_file", "arguments": {"path": "\ud800',
        "\ud83d\ude00 and \udc00",
    ],
)
def test_half_a_character_is_none_that_could_not_be_stored(text: str) -> None:
    made = repair(answer(text), asked())
    (made.text + "".join(call.arguments for call in made.calls)).encode()
    assert "\ufffd" in made.text + "".join(call.arguments for call in made.calls)


@pytest.mark.parametrize("way", ["bare", "array", "hermes", "harmony", "mistral", "pythonic"])
def test_more_calls_than_anybody_means_are_not_all_made(way: str) -> None:
    """A repetition that a small model falls into, or data that looks like calls."""
    made = [("count_things", {"what": str(number)}) for number in range(500)]
    assert len(repair(answer(WAYS[way](made)), asked()).calls) <= 64
    assert called(repair(answer(WAYS[way](made[:60])), asked())) == made[:60]


@settings(max_examples=200, deadline=None)
@given(made=writes, at=st.integers(0, 200))
def test_a_call_that_is_cut_anywhere_is_never_made(made: dict[str, Any], at: int) -> None:
    whole = as_json("write_file", made)
    begin = whole.index('"arguments"') + len('"arguments": ')
    cut = whole[: min(begin + at, len(whole) - 2)]  # at least the arguments' own bracket is missing
    for text in (cut, f"<tool_call>{cut}", f"```tool\n{cut}"):
        for calling in ("native", "grammar", "fenced"):
            for call in undress(answer(text, stop="length"), asked(), ModelCard("m", calling=calling)).calls:
                with pytest.raises(ValueError):
                    json.loads(call.arguments)


def test_what_is_dressed_has_no_tools_and_says_them_in_words() -> None:
    before = asked(
        Turn("user", (TextPart("Write it."),)),
        Turn("assistant", (TextPart("I do."),), (ToolCall("c1", "write_file", '{"path": "a", "content": ""}'),)),
        Turn("tool", (TextPart("written"),), call_id="c1", name="write_file"),
        Turn("tool", (TextPart("no such place"),), call_id="c2", name="write_file", error=True),
        Turn("user", (TextPart("And more."),)),
    )
    for calling in ("grammar", "fenced"):
        dressed = dress(before, ModelCard("m", calling=calling))
        assert dressed.tools == ()
        assert [turn.role for turn in dressed.turns] == ["user", "assistant", "user"]
        assert not any(turn.calls for turn in dressed.turns)
        assert '{"name":"write_file","arguments":{"path":"a","content":""}}' in dressed.turns[1].text
        assert "written" in dressed.turns[2].text and "It failed." in dressed.turns[2].text
        assert dressed.turns[2].text.endswith("And more.")
        for tool in TOOLS:
            assert f"- {tool.name}: {tool.description}" in dressed.instructions
    assert dress(before, ModelCard("m")) is before


def test_the_grammar_admits_calls_of_offered_tools_and_words_and_nothing_else() -> None:
    schema = dress(asked(), ModelCard("m", calling="grammar")).output_schema
    assert schema is not None
    checker = validator(schema)
    assert problem(checker, {"answer": "yes"}) is None
    assert problem(checker, {"calls": [{"name": "write_file", "arguments": {"path": "a", "content": ""}}]}) is None
    for wrong in (
        {},
        {"calls": []},
        {"calls": [{"name": "rm", "arguments": {}}]},
        {"calls": [{"name": "write_file", "arguments": {"path": "a"}}]},
        {"calls": [{"name": "write_file", "arguments": {"path": "a", "content": "", "mode": 1}}]},
        {"answer": "yes", "calls": []},
        {"answer": 1},
    ):
        assert problem(checker, wrong) is not None


def test_the_grammars_schema_puts_references_in_and_leaves_out_what_only_a_validator_checks() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "string", "pattern": "^x", "maxLength": 99_999}},
        "$defs": {"A": {"type": "object", "properties": {"n": {"type": "integer", "description": "how many"}}}},
    }
    assert simple(schema)["properties"] == {
        "a": {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False},
        "b": {"type": "string"},
    }
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert simple(endless)["properties"]["next"]["properties"] == {"next": {}}
    named = {"properties": {"a": {"$ref": "#/$defs/a~1b%20c"}}, "$defs": {"a/b c": {"type": "string"}}}
    assert simple(named)["properties"]["a"] == {"type": "string"}


def test_a_schema_that_refers_to_itself_in_many_places_stays_small() -> None:
    branches = {key: {"$ref": f"#/$defs/{number}"} for number, key in enumerate("abcdefghij")}
    schema = {
        "type": "object",
        "properties": branches,
        "$defs": {str(number): {"properties": branches} for number in range(10)},
    }
    assert len(msgspec.json.encode(simple(schema))) < 100_000


ODD: dict[str, tuple[Any, Any]] = {
    "more items than a grammar counts": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 5000, "maxItems": 100_000},
        {"type": "array", "items": {"type": "integer"}},
    ),
    "no choice": ({"anyOf": []}, {}),
    "no value": ({"type": "string", "enum": []}, {"type": "string"}),
    "a type that is none": ({"type": "any"}, {}),
    "no types": ({"type": []}, {}),
    "either type": ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
    "endless bounds": ({"type": "integer", "minimum": -1e300, "maximum": 1e300}, {"type": "integer"}),
    "words for bounds": ({"type": "array", "minItems": "1", "maxItems": True}, {"type": "array"}),
    "choices of what is required": (
        {"properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"properties": {"a": {"type": "string"}}, "additionalProperties": False},
    ),
    "a choice of anything": ({"anyOf": [{"type": "string"}, {"description": "or else"}]}, {}),
    "null for lists": ({"type": "object", "properties": None, "required": None, "enum": None}, {"type": "object"}),
    "required and not there": (
        {"properties": {"a": {"type": "string"}}, "required": ["a", "b", 1]},
        {"properties": {"a": {"type": "string"}}, "additionalProperties": False, "required": ["a"]},
    ),
    "true and false": ({"items": True}, {"items": {}}),
    "names of any kind": (
        {"properties": {"a-b": {}, "a_b": {}, 'ä"\\ \n': {"const": None}}},
        {"properties": {"a-b": {}, "a_b": {}, 'ä"\\ \n': {"const": None}}, "additionalProperties": False},
    ),
}  # fmt: skip
"""Schemas that tools really bring, as a property's; what a grammar is made of."""


@pytest.mark.parametrize("name", ODD)
def test_of_an_odd_schema_there_is_left_what_a_grammar_takes(name: str) -> None:
    given, left = ODD[name]
    assert simple({"type": "object", "properties": {"it": given}})["properties"]["it"] == left


def test_with_a_schema_of_its_own_the_answer_is_that_value() -> None:
    request = asked(output_schema={"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})
    schema = grammar.dress(request).output_schema or {}
    assert problem(validator(schema), {"answer": {"ok": True}}) is None
    assert problem(validator(schema), {"answer": "fine"}) is not None
    assert grammar.undress(answer('{"answer": {"ok": true}}'), request).text == '{"ok":true}'


async def test_words_of_a_grammars_answer_are_told_as_they_come() -> None:
    told: list[Delta] = []
    text = 'Zwei "Knöpfe"\n😀 and more'
    model = Fitted(Echo(json.dumps({"answer": text}), size=3), ModelCard("m", calling="grammar"))
    made = await model.answer(asked(), told.append)
    assert made.text == text
    assert len([delta for delta in told if delta.text]) > 3
    assert "".join(delta.text for delta in told) == text
    assert not any(delta.reset for delta in told)


async def test_a_leaked_call_is_not_told_as_words() -> None:
    told: list[Delta] = []
    model = Fitted(
        Echo("<think>hm</think>Now.\n<tool_call>" + as_json("count_things", {"what": "x"}) + "</tool_call>"),
        ModelCard("m"),
    )
    made = await model.answer(asked(), told.append)
    assert called(made) == [("count_things", {"what": "x"})]
    assert "".join(delta.text for delta in told) == made.text == "Now."
    assert "".join(delta.reasoning for delta in told) == "hm"
    assert [delta.call for delta in told if delta.call] == list(made.calls)
    assert not any(delta.reset for delta in told)


@pytest.mark.parametrize("size", [1, 2, 7, 500])
async def test_thinking_ends_where_its_mark_is_in_every_script(size: int) -> None:
    """A character may be two in lower case."""
    told: list[Delta] = []
    await Fitted(Echo("<think>" + "İ" * 20 + "</THINK>Merhaba.", size=size), ModelCard("m")).answer(
        asked(), told.append
    )
    assert "".join(delta.reasoning for delta in told) == "İ" * 20
    assert "".join(delta.text for delta in told) == "Merhaba."
    assert not any(delta.reset for delta in told)


def test_ids_are_stable_and_differ_between_turns() -> None:
    said = answer("```tool\n" + as_json("count_things", {"what": "x"}) + "\n```")
    first = asked(key="t/m1/1")
    second = asked(key="t/m2/1")
    one, again, other = (fenced.undress(said, request).calls[0].id for request in (first, first, second))
    assert one == again != other


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_gallery_over_the_wire(bench: Bench, stream: bool) -> None:
    """Everything that a server marked or wrote arrives as the gallery says, through the adapter."""
    for name, case in gallery().items():
        sent = case.sent
        if case.told or (sent.reasoning and not stream) or any(not call.arguments for call in sent.tool_calls):
            continue
        reply = {
            "text": sent.content,
            "reasoning": sent.reasoning,
            "calls": [{"tool": call.name, "arguments": call.arguments, "id": call.id} for call in sent.tool_calls],
            "stop": "length" if sent.finish == "length" else "",
        }
        model = Fitted(bench.model(await bench.server({"rules": [{"reply": reply}]}), stream=stream), ModelCard("m"))
        made = await model.answer(case.request(), lambda delta: None)
        assert [call.name for call in made.calls] == [call[0] for call in case.out.calls], name
        assert made.text == case.out.text, name


async def test_a_scripted_model_can_play_a_model_without_tool_calls() -> None:
    book = {
        "rules": [
            {
                "when": {"turn": 0},
                "reply": {"text": '{"calls": [{"name": "count_things", "arguments": {"what": "x"}}]}'},
            }
        ]
    }
    model = Fitted(ScriptedModel(as_playbook(book)), ModelCard("m", calling="grammar"))
    assert called(await model.answer(asked(), lambda delta: None)) == [("count_things", {"what": "x"})]


OPTIONAL = {
    "type": "object",
    "properties": {
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "deep": {"oneOf": [{"type": "boolean"}, {"type": "null"}]},
        "ratio": {"type": ["number", "null"]},
        "tags": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
        "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}, {"type": "null"}]},
        "open": {"anyOf": [{"description": "anything"}, {"type": "integer"}]},
        "whole": {"allOf": [{"type": "integer"}]},
    },
}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"limit": "5"}, {"limit": 5}),
        ({"limit": "5.5"}, {"limit": "5.5"}),
        ({"limit": "null"}, {"limit": None}),
        ({"limit": "None"}, {"limit": None}),
        ({"limit": None}, {"limit": None}),
        ({"deep": "True"}, {"deep": True}),
        ({"ratio": "0.5"}, {"ratio": 0.5}),
        ({"tags": '["1", "2"]'}, {"tags": [1, 2]}),
        ({"tags": ["1", "2"]}, {"tags": [1, 2]}),
        ({"id": "5"}, {"id": "5"}),
        ({"either": "true"}, {"either": True}),
        ({"either": "7"}, {"either": 7}),
        ({"open": "7"}, {"open": "7"}),
        ({"whole": "7"}, {"whole": 7}),
    ],
    ids=str,
)
def test_a_text_becomes_what_an_optional_argument_takes(given: dict[str, Any], meant: dict[str, Any]) -> None:
    mended = json.loads(repaired(json.dumps(given), "t", OPTIONAL))
    assert mended == meant
    assert [type(value) for value in mended.values()] == [type(value) for value in meant.values()]
