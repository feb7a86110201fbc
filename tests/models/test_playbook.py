"""Playbooks: which rule a request meets, what is said, and what a file may hold."""

from pathlib import Path
from typing import Any

import pytest

from agenthost.core.errors import BadInput, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.core.models import Delta, ModelRequest, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.playbook import as_playbook, load_playbook
from agenthost.models.scripted import ScriptedModel, ScriptedModels
from agenthost.testing.models import PICTURE, PICTURE_PART, asked

DEEP = ModelRequest(
    "m-1",
    "You are terse.",
    (
        Turn("user", (TextPart("Sum it up"), PICTURE_PART)),
        Turn("assistant", (TextPart("I look."),), (ToolCall("c", "run", "{}"),)),
        Turn("tool", (TextPart("Traceback: KeyError: 'x'"), DataPart({"n": 1})), call_id="c", name="run", error=True),
    ),
    tools=(ToolSpec("run", "Runs."),),
    metadata={"agent": "coder", "purpose": "turn", "task": "t1"},
)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"agent": "coder"}, True),
        ({"agent": ["x", "coder"]}, True),
        ({"agent": "x"}, False),
        ({"purpose": "summary"}, False),
        ({"task": "t1", "model": "m-1"}, True),
        ({"model": "m"}, False),
        ({"instructions": "terse"}, True),
        ({"instructions": ["terse", "kind"]}, False),
        ({"anywhere": ["Sum it up", "KeyError"]}, True),
        ({"anywhere": "nothing"}, False),
        ({"offers": "run"}, True),
        ({"offers": "walk"}, False),
        ({"turn": 1}, True),
        ({"turn": 0}, False),
        ({"turn": {"least": 1}}, True),
        ({"turn": {"least": 2}}, False),
        ({"turn": {"most": 0}}, False),
        ({"turn": {"least": 0, "most": 3}}, True),
        ({"last": "tool"}, True),
        ({"last": "user"}, False),
        ({"says": ["KeyError", '"n":1']}, True),
        ({"says": "Sum it up"}, False),
        ({"tool": "run"}, True),
        ({"tool": "walk"}, False),
        ({"error": True}, True),
        ({"error": False}, False),
        ({"file": PICTURE_PART.digest}, True),
        ({"file": ["sha256:0"]}, False),
        ({"matches": "(?P<what>\\w+Error)"}, True),
        ({"matches": "^Error"}, False),
    ],
)
def test_a_rule_fits_a_request(when: dict[str, Any], fits: bool) -> None:
    play = as_playbook({"rules": [{"when": when, "reply": {"text": "Yes."}}]}).play(DEEP)
    assert (play is not None) is fits


def test_a_rule_about_results_never_fits_before_there_is_one() -> None:
    for when in ({"tool": "run"}, {"error": False}, {"last": "tool"}):
        assert as_playbook({"rules": [{"when": when, "reply": {"text": "x"}}]}).play(asked("hello")) is None
    assert (
        as_playbook({"rules": [{"when": {"last": "user"}, "reply": {"text": "x"}}]}).play(ModelRequest("m", "", ()))
        is None
    )


def test_the_first_rule_that_fits_is_played() -> None:
    rules = [{"when": {"agent": "x"}, "reply": {"text": "a"}}, {"reply": {"text": "b"}}, {"reply": {"text": "c"}}]
    play = as_playbook({"rules": rules}).play(DEEP)
    assert play is not None
    assert (play.rule, play.text) == (1, "b")


def test_templates_are_filled_in_words_reasoning_and_arguments() -> None:
    arguments = {"path": "{{what}}.py", "deep": [{"x": "{{ agent }}"}, 3], "odd": "{{unknown}}"}
    reply = {
        "text": "{{what}} on turn {{turn}} of {{model}}: {{file}}",
        "reasoning": "{{said}}",
        "calls": [{"tool": "run", "arguments": arguments}],
    }
    play = as_playbook({"rules": [{"when": {"matches": "(?P<what>\\w+Error)(?P<none>zz)?"}, "reply": reply}]}).play(
        DEEP
    )
    assert play is not None
    assert play.text == "KeyError on turn 1 of m-1: sketch.png"
    assert play.reasoning.startswith("Traceback")
    assert play.calls == (
        ToolCall("call_1_0", "run", '{"path":"KeyError.py","deep":[{"x":"coder"},3],"odd":"{{unknown}}"}'),
    )
    assert play.stop == "calls"


@pytest.mark.parametrize(
    ("repeat", "said"),
    [("", ["a", "b", None, None]), ("last", ["a", "b", "b", "b"]), ("cycle", ["a", "b", "a", "b"])],
)
def test_replies_go_by_the_models_turns(repeat: str, said: list[str | None]) -> None:
    book = as_playbook({"rules": [{"replies": [{"text": "a"}, {"text": "b"}], "repeat": repeat}]})
    for turn, wanted in enumerate(said):
        play = book.play(ModelRequest("m", "", (Turn("user"), Turn("assistant")) * turn + (Turn("user"),)))
        assert (play.text if play else None) == wanted


def test_usage_is_counted_alike_and_grows_with_what_is_said() -> None:
    book = as_playbook({"rules": [{"reply": {"text": "x" * 40}}]})
    small, large = book.play(asked("a")), book.play(DEEP)
    assert small is not None and large is not None
    assert small.usage == Usage(3, 11)
    assert large.usage.input > 765


def test_a_failure_that_counts_gives_way_and_one_that_does_not_stays() -> None:
    book = as_playbook({"rules": [{"fail": {"kind": "cut", "times": 2}}, {"reply": {"text": "b"}}]})
    assert [play.fail is not None if (play := book.play(DEEP, attempt)) else None for attempt in (0, 1, 2)] == [
        True,
        True,
        False,
    ]
    book = as_playbook({"rules": [{"fail": {"kind": "auth"}, "replies": [{"text": "x"}]}]})
    play = book.play(DEEP, 99)
    assert play is not None and play.fail is not None


# --- files --------------------------------------------------------------------------------------------


def test_a_file_takes_words_and_hashes_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print('ü')\n")
    (tmp_path / "s.png").write_bytes(PICTURE)
    (tmp_path / "book.yaml").write_text(
        "name: b\nrules:\n  - when: {file: !digest s.png}\n    reply: {text: !text a.py}\n"
    )
    play = load_playbook(tmp_path / "book.yaml").play(DEEP)
    assert play is not None and play.text == "print('ü')\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [", "is not YAML"),
        ("rules: [{}]", "Rule 1 of the playbook .* says nothing"),
        ("rules: [{when: {matches: '('}, reply: {text: x}}]", "matches is not a pattern"),
        ("rules: [{repyl: {text: x}}]", "not well formed"),
        ("rules: [{fail: {kind: smoke}}]", "not well formed"),
        ("- a\n- list", "not well formed"),
        ("rules: [{reply: {text: !text ../x}}]", "outside the playbook's folder"),
        ("rules: [{reply: {text: !text /etc/hostname}}]", "outside the playbook's folder"),
        ("rules: [{reply: {text: !text none.py}}]", "none.py, named in the playbook, can't be read"),
        ("rules: [{reply: {text: !text bytes.bin}}]", "bytes.bin.* not UTF-8"),
        ("!!python/object/apply:os.system [true]", "is not YAML"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "book.yaml").write_text(text)
    (tmp_path / "bytes.bin").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=words):
        load_playbook(tmp_path / "book.yaml")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "book.yaml").write_text("rules: [{reply: {text: !text link}}]")
    with pytest.raises(BadInput, match="outside"):
        load_playbook(folder / "book.yaml")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_can_not_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "book.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=r"book\.yaml can't be read"):
        load_playbook(tmp_path / "book.yaml")


# --- the scripted model -------------------------------------------------------------------------------


def scripted(**rule: Any) -> ScriptedModel:
    return ScriptedModel(as_playbook({"rules": [rule]}))


async def test_words_come_one_by_one_then_calls() -> None:
    told: list[Delta] = []
    reply = {
        "text": "one  two\nthree",
        "reasoning": "hm",
        "pause": 0.001,
        "delay": 0.001,
        "calls": [{"tool": "run"}],
        "model": "m-9",
    }
    answer = await scripted(reply=reply).answer(asked("?"), told.append)
    assert told == [
        Delta(reasoning="hm"),
        Delta(text="one  "),
        Delta(text="two\n"),
        Delta(text="three"),
        Delta(call=ToolCall("call_0_0", "run", "{}")),
    ]
    assert answer.model == "m-9"


async def test_a_cut_tells_so_many_pieces() -> None:
    told: list[Delta] = []
    with pytest.raises(Temporary):
        await scripted(fail={"kind": "cut", "after": 2, "message": "Cut."}, reply={"text": "a b c"}).answer(
            asked("?"), told.append
        )
    assert [delta.text for delta in told] == ["a ", "b "]


async def test_another_picture_is_not_pretended_to_be_read() -> None:
    model = scripted(when={"file": "sha256:0"}, reply={"text": "x"})
    turn = Turn("user", (TextPart("?"), FilePart(digest(b"x"), "image/png", 1, "mine.png")))
    with pytest.raises(Permanent, match=r"can't read mine\.png.*OPENAI_API_KEY") as caught:
        await model.answer(ModelRequest("m", "", (turn,)), lambda delta: None)
    assert caught.value.code == "scripted-unreadable"
    with pytest.raises(Permanent, match="this picture"):
        await model.answer(ModelRequest("m", "", (Turn("user", (FilePart("d", "image/png", 1),)),)), lambda delta: None)


async def test_other_words_are_not_pretended_to_be_understood() -> None:
    with pytest.raises(Permanent, match="fixed replies, and none for this") as caught:
        await scripted(when={"says": "x"}, reply={"text": "x"}).answer(asked("?"), lambda delta: None)
    assert caught.value.code == "scripted-no-reply"


async def test_every_name_is_a_model_of_the_playbook() -> None:
    models = ScriptedModels(as_playbook({"rules": [{"reply": {"text": "x"}}]}))
    assert await models.model("a") is await models.model("a")
    assert (await models.model("b")).card.name == "b"
    await models.close()
