"""Work with terms through the real host: refused where it can't be done, asked, answered, taken up again."""

from typing import Any

import pytest

from agenthost.core.api import Order
from agenthost.core.commands import Ask
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.events import Asked, Finished, Recorded
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, TextPart, text_of
from agenthost.core.ports import Filter
from agenthost.core.tasks import Terms
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.host.host import Host
from agenthost.host.terms import schema_problem
from tests.host.conftest import ASKER, ECHO, PAIR, Opens, followed

WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object"})
PLAYS = """\
rules:
  - when: {tool: weather}
    reply: {text: "It is {{said}}"}
  - when: {offers: weather, says: weather}
    reply: {calls: [{tool: weather, arguments: {city: Rome}}, {tool: weather, arguments: {city: Oslo}}]}
  - reply: {text: "You said {{said}}"}
"""


def user(text: str) -> Turn:
    return Turn("user", (TextPart(text),))


async def asked(host: Host, task: str, count: int) -> list[str]:
    """Wait for so many questions; which."""
    found: list[str] = []
    async for item in host.follow(task):
        if isinstance(item, Recorded) and isinstance(item.event, Asked) and isinstance(item.event.command, Ask):
            found.append(f"{item.task}/{item.event.command.id}")
            if len(found) == count:
                return found
    raise AssertionError("too little was asked")


async def test_their_tools_are_answered_after_a_restart_and_the_journal_replays(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    row = await host.start(Order("echo", "the weather", terms=Terms(tools=(WEATHER,))))
    questions = await asked(host, row.id, 2)
    assert (await host.task(row.id)).row.state == "input-required"
    await host.reply(row.id, "sunny", question=questions[0])
    await host.close()

    host = await opens(PLAYS, work=True)
    assert [open.ask.arguments for open in (await host.task(row.id)).questions] == [{"city": "Oslo"}]
    await host.reply(row.id, "cold", question=questions[1])
    finished = (await followed(host, row.id))[-1].event
    assert isinstance(finished, Finished) and text_of(finished.parts) == "It is sunny\ncold"
    assert [report.agrees for report in await host.replay(row.id)] == [True]
    assert b"PK" in (await host.export(row.id))[:2]


async def test_a_task_with_history_says_something_without_a_message(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    row = await host.start(Order("echo", terms=Terms(history=(user("hello"),))))
    finished = (await followed(host, row.id))[-1].event
    assert isinstance(finished, Finished) and text_of(finished.parts) == "You said hello"


CALL = Turn("assistant", calls=(ToolCall("c", "weather", "{}"),))
RESULT = Turn("tool", (TextPart("x"),), call_id="c", name="weather")


@pytest.mark.parametrize(
    "terms, said",
    [
        (Terms(tools=(ToolSpec("ask_person", ""),)), "the agent 'asker' has a tool 'ask_person' of its own"),
        (Terms(tools=(WEATHER, WEATHER)), "two tools 'weather'"),
        (Terms(tools=(ToolSpec("the weather", ""),)), "can't be called 'the weather'"),
        (Terms(tools=tuple(ToolSpec(f"t{at}", "") for at in range(257))), "257 tools, and 256 are the most"),
        (Terms(output={"type": "thing"}), "the terms' output can't be used: it is not JSON Schema"),
        (Terms(temperature=3.0), "temperature must be between 0 and 2"),
        (Terms(max_output=-1), "must be a number of tokens"),
        (Terms(history=(user("a"), RESULT)), "turn 2 of the history is the result of a call 'c' that is not open"),
        (
            Terms(history=(CALL, user("a"))),
            "turn 2 of the history is a user's, and the result of the call 'c' is missing",
        ),
        (Terms(history=(CALL,)), "ends without the result of the call 'c'"),
        (Terms(history=(Turn("user", calls=CALL.calls), RESULT)), "is a user's and can't call tools"),
        (Terms(history=(Turn("assistant", calls=CALL.calls * 2), RESULT)), "two calls of one id"),
    ],
)
async def test_terms_that_can_not_be_kept_are_refused_before_anything_is(opens: Opens, terms: Terms, said: str) -> None:
    host = await opens(PLAYS, ASKER)
    with pytest.raises(BadInput) as caught:
        await host.start(Order("asker", "hello", terms=terms))
    assert said in caught.value.message
    assert await host.tasks(Filter()) == []


async def test_nothing_said_at_all_is_refused_with_terms_too(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    with pytest.raises(BadInput, match="say what the agent is to do"):
        await host.start(Order("echo", terms=Terms()))


async def test_an_agent_goes_on_after_its_own_words(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    row = await host.start(Order("echo", terms=Terms(history=(user("a"), Turn("assistant", (TextPart("b"),))))))
    finished = (await followed(host, row.id))[-1].event
    assert isinstance(finished, Finished) and finished.verdict.outcome == "done"


async def test_a_file_of_the_history_must_have_been_given(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    picture = FilePart("sha256:" + "0" * 64, "image/png", 3, "a.png")
    with pytest.raises(NotFound, match="no file with the content hash"):
        await host.start(Order("echo", "look", terms=Terms(history=(Turn("user", (picture,)),))))


async def test_a_workflow_takes_no_terms(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR)
    with pytest.raises(BadInput, match="'pair' is a workflow and takes no terms"):
        await host.start(Order("pair", "hello", terms=Terms("Be brief.")))


@pytest.mark.parametrize(
    "schema, said",
    [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": True}}, ""),
        ({"$defs": {"a/b": {"type": "string"}}, "$ref": "#/$defs/a~1b"}, ""),
        ({"$ref": "#"}, ""),
        ({"$ref": "http://127.0.0.1/secret"}, "the reference 'http://127.0.0.1/secret' leads nowhere"),
        ({"$ref": "file:///etc/passwd"}, "leads nowhere"),
        ({"anyOf": [{"$ref": "#/$defs/none"}]}, "the reference '#/$defs/none' leads nowhere"),
        ({"$ref": 3}, "it is not JSON Schema at $"),
        ({"properties": {"a": {"pattern": "("}}}, "it is not JSON Schema at $.properties.a.pattern"),
        ({"patternProperties": {"(": {}}}, "it is not JSON Schema at $.patternProperties"),
    ],
)
def test_a_schema_that_nothing_can_be_checked_by_is_named(schema: dict[str, Any], said: str) -> None:
    problem = schema_problem(schema)
    assert said in problem and bool(problem) == bool(said)


def test_a_schema_that_is_nested_too_deep_is_named() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"not": schema}
    assert schema_problem(schema) == "it is nested too deep"
