"""The task that asks a model for another message's task: events in, commands out."""

import msgspec
from scenes import LETTER, POSTER, said, scene, topic

from agenthost.core.commands import CallModel, Finish
from agenthost.core.errors import Failure
from agenthost.core.events import Answered, Asked, CancelAsked, Created, Event, Finished, Recorded
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import DataPart, TextPart, text_message
from agenthost.core.routing import Decision
from agenthost.core.tasks import TaskSpec
from agenthost.programs.routing import RoutingProgram, inputs
from agenthost.programs.routing.digest import MOST_TOKENS, SCHEMA

SCENE = scene(topic(POSTER, "Poster for the party"), topic(LETTER, "Letter to the landlord"))
SPEC = TaskSpec(
    "t1",
    "routing",
    "routing",
    "",
    text_message("host", ""),
    inputs(said("the landlord wrote"), SCENE),
    model="acme:small",
)


def after(*events: Event, spec: TaskSpec = SPEC) -> list[object]:
    """What the program asks for after these events."""
    program = RoutingProgram()
    state = program.initial(spec)
    for seq, event in enumerate((Created(spec), *events), 1):
        state = program.apply(state, Recorded(spec.id, seq, 100.0 + seq, event))
    return list(program.decide(state))


def asked() -> CallModel:
    (command,) = after()
    assert isinstance(command, CallModel)
    return command


def decided(finish: object) -> Decision:
    assert isinstance(finish, Finish) and finish.verdict.outcome == "done"
    (part,) = finish.parts
    assert isinstance(part, DataPart)
    return msgspec.convert(part.data, Decision)


def says(text: str) -> Answered:
    return Answered("route", ModelAnswer((TextPart(text),), model="small-1"))


def test_one_call_of_the_small_model_is_asked_for_and_no_second() -> None:
    command = asked()
    assert (command.model, command.purpose) == ("acme:small", "route")
    assert 0 < command.worst <= MOST_TOKENS
    assert after(Asked(command)) == []


def test_the_request_holds_the_answer_to_a_schema_and_says_whose_task_it_is() -> None:
    program = RoutingProgram()
    request = program.render(program.initial(SPEC), asked())
    assert request.output_schema == SCHEMA and request.tools == ()
    assert "the landlord wrote" in request.turns[0].text and "the landlord wrote" not in request.instructions
    assert request.metadata["task"] == "t1"


def test_the_models_answer_is_the_decision() -> None:
    (finish,) = after(Asked(asked()), says('{"task": 1, "meaning": "steer", "confidence": 0.75}'))
    made = decided(finish)
    assert (made.task, made.meaning, made.rule, made.confidence) == (LETTER, "steer", "model", 0.75)


def test_where_no_model_can_be_had_the_person_is_asked_and_the_task_is_done() -> None:
    refused = Answered("route", ModelAnswer((), stop="refusal"))
    for answer in (Answered("route", failure=Failure("auth", "the key is wrong")), refused, says("no idea")):
        (finish,) = after(Asked(asked()), answer)
        made = decided(finish)
        assert (made.meaning, made.rule) == ("unsure", "model")
        assert {one.task for one in made.candidates} == {LETTER, POSTER, ""}


def test_it_can_be_cancelled_and_asks_nothing_once_it_ended() -> None:
    (finish,) = after(CancelAsked("person"))
    assert isinstance(finish, Finish) and finish.verdict.outcome == "canceled"
    assert after(Asked(asked()), says("{}"), Finished(finish.verdict)) == []


def test_a_task_without_a_message_ends_and_says_why() -> None:
    (finish,) = after(spec=msgspec.structs.replace(SPEC, inputs={"spoken": 1}))
    assert isinstance(finish, Finish) and finish.verdict.outcome == "blocked" and "spoken" in finish.verdict.reason
