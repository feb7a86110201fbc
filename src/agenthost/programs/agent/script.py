"""The functions of a manifest's script take part: `instructions(task)`, `stage(task)`, `on_message(message)`.

Scripts are resumed by running them again against the answers that are journalled so far, so every
request of `on_message` to the host is an event, and so is its answer.
"""

from typing import Any

import msgspec

from agenthost.core.commands import CallModel, Evaluate, View
from agenthost.core.errors import Failure
from agenthost.core.events import Reply, ScriptRequest, Value
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import DataPart, FilePart, Message, Part, TextPart
from agenthost.core.ports import Evaluation
from agenthost.core.tools import ToolCall
from agenthost.programs.agent import calls, closing, context, proving, steps, structured, words
from agenthost.programs.agent.completion import failed
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.fitting import model_call
from agenthost.programs.agent.state import AgentState, Pending
from agenthost.programs.base import Delivery

MAX_REQUESTS = 200
"""How many requests to the host one call of `on_message` may make."""


def message_value(message: Message) -> dict[str, Any]:
    """A message as scripts see it."""
    files = [msgspec.to_builtins(part) for part in message.parts if isinstance(part, FilePart)]
    text = "\n".join(part.text for part in message.parts if isinstance(part, TextPart))
    data = [part.data for part in message.parts if isinstance(part, DataPart)]
    return {"sender": message.sender, "text": text, "files": files, "data": data, "id": message.id}


def task_value(state: AgentState) -> dict[str, Any]:
    """A task as scripts and stage expressions see it."""
    return {
        "id": state.spec.id,
        "title": state.spec.title,
        "agent": state.spec.name,
        "stage": state.stage,
        "stage_turns": state.stage_turns,
        "turns": state.model_calls,
        "calls": state.tool_calls,
        "text": state.last_text,
        "files": sorted(state.written),
        "message": message_value(state.spec.message),
    }


def evaluation(state: AgentState, d: Definition, command: Evaluate) -> Evaluation:
    """Everything that an Evaluate of this agent needs."""
    if command.function == "on_message":
        assert state.script_message is not None
        names = {"message": message_value(state.script_message)}
        answers = tuple(state.script_answers)
        return Evaluation({}, names, d.spec.script, command.function, answers)
    task = task_value(state)
    if command.function:
        return Evaluation({}, {"task": task}, d.spec.script, command.function)
    keys = ("turns", "calls", "text", "files", "stage", "stage_turns")
    return Evaluation(command.expressions, {key: task[key] for key in keys} | {"task": task})


def request(state: AgentState, d: Definition, command: CallModel, metadata: dict[str, str]) -> ModelRequest:
    """The request of a script's `call_model`."""
    schema, prompt = state.script_schema, state.script_prompt
    if schema is not None and not d.model.structured:
        told = msgspec.json.encode(schema).decode()
        prompt += "\n\nAnswer with one JSON value and nothing else, valid for this JSON Schema: " + told
        schema = None
    return ModelRequest(
        command.model,
        d.spec.instructions,
        (Turn("user", (TextPart(prompt),)),),
        output_schema=schema,
        max_output=command.max_output,
        temperature=d.spec.temperature,
        key=command.id,
        metadata=metadata,
        effort=d.spec.reasoning,
    )


# --- on_message ------------------------------------------------------------------------------------


def start(state: AgentState, message: Message) -> None:
    """Let `on_message` answer a message."""
    state.phase = "script"
    state.provenance.heard(message, state.base + len(state.turns), state.spec.trust is not None)
    state.script_message = message
    state.script_answers = []
    _run(state)


def _run(state: AgentState) -> None:
    id = f"e{state.evaluations + 1}"
    state.want(Evaluate(id, function="on_message", step=len(state.script_answers)))


def evaluated(state: AgentState, d: Definition, delivery: Delivery, command: Evaluate) -> None:
    """Take what an Evaluate came to."""
    answer = delivery.answer
    if delivery.failure is not None:
        failed(state, delivery.failure, "the agent's script: " if command.function else "the stage's `when`: ")
    elif isinstance(answer, ScriptRequest) and command.function == "on_message":
        _asked(state, d, answer)
    elif not isinstance(answer, Value):
        failed(state, Failure("script-error", f"{command.function} can't ask the host; on_message can"))
    elif command.function == "on_message":
        _ended(state, d, answer.values.get("result"), delivery.seq)
    else:
        _prepared(state, d, command, answer.values)


def _asked(state: AgentState, d: Definition, asked: ScriptRequest) -> None:
    if len(state.script_answers) >= MAX_REQUESTS:
        state.end("blocked", f"the script's on_message made more than {MAX_REQUESTS} requests", "script-error")
        return
    state.script_requests += 1
    id, wanted = f"x{state.script_requests}", asked.arguments
    if asked.function == "call_model":
        schema = wanted.get("schema")
        state.script_prompt = str(wanted["prompt"])
        state.script_schema = schema if isinstance(schema, dict) else None  # pyright: ignore[reportUnknownMemberType]
        worst = context.text_tokens(d.spec.instructions) + context.text_tokens(str(wanted)) + 100
        state.want(model_call(state, d, id, View(0, 0), worst, "script"))
    elif asked.function == "ask":
        options = tuple(str(option) for option in wanted.get("options") or ())
        kind = "auth" if wanted.get("kind") == "auth" else "input"
        state.want(words.question(id, str(wanted["question"]), options, d.spec.questions, state.spec.asking, kind))
    elif asked.function == "make_artifact":
        _wish(state, d, id, "write_file", {"path": wanted["name"], "content": wanted["text"]})
    elif asked.function == "call_tool":
        _wish(state, d, id, str(wanted["name"]), wanted.get("arguments") or {})
    else:
        # `log`: the journalled request is the log line.
        _resume(state, {"value": None})


def _wish(state: AgentState, d: Definition, id: str, name: str, arguments: dict[str, Any]) -> None:
    pending = Pending(ToolCall(id, name, ""), id)
    box = d.toolbox(state.stage)
    if box.finish is not None and name == box.finish.name:
        _resume(state, {"error": "a script ends by returning its answer; it does not call finish"})
        return
    state.pending = [pending]
    calls.wish(state, d, pending, arguments, alone=True)
    if pending.result is not None:
        _resume(state, {"error": pending.result.text})


def taken(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Take the answer of what a script asked for."""
    answer, failure = delivery.answer, delivery.failure
    if state.pending:
        pending = calls.take(state, d, delivery)
        if pending is not None and pending.result is not None:
            _resume(state, {"error" if pending.result.error else "value": pending.result.text})
    elif failure is not None and failure.code == "budget":
        failed(state, failure)
    elif failure is not None:
        _resume(state, {"error": f"{failure.message} [{failure.code}]"})
    elif isinstance(answer, ModelAnswer):
        _resume(state, _model_value(state, answer))
    else:
        _resume(state, {"value": answer.text if isinstance(answer, Reply) else None})


def _model_value(state: AgentState, answer: ModelAnswer) -> dict[str, Any]:
    """What `call_model` returns: the words, or the value where a schema was given."""
    if answer.stop == "refusal":
        return {"error": f"the model refused: {answer.text}"}
    if answer.stop == "length":
        return {"error": "the model's answer was cut at its limit; give the agent more maxOutputTokens"}
    if state.script_schema is None:
        return {"value": answer.text}
    value, problem = structured.read(state.script_schema, answer.text)
    return (
        {"value": value} if problem is None else {"error": f"the model's answer is not what was asked for: {problem}"}
    )


def _resume(state: AgentState, answer: dict[str, Any]) -> None:
    state.pending = []
    state.script_answers.append(answer)
    _run(state)


def _ended(state: AgentState, d: Definition, value: Any, seq: int) -> None:
    """`on_message` has returned: its answer, or None where the model is to answer."""
    message = state.script_message
    assert message is not None
    if value is None:
        state.script_message = None
        context.hear(state, message, d.model)
        steps.to_turn(state, d)
        return
    state.script_parts = (*state.script_parts, *_parts(value))
    if state.waiting:
        start(state, state.waiting.pop(0))
    elif d.proved:
        state.output = state.script_parts
        proving.begin(state, d)
    else:
        state.end("done", "the agent's script answered", evidence=(seq,), parts=state.script_parts)


def _parts(value: Any) -> tuple[Part, ...]:
    return (TextPart(value),) if isinstance(value, str) else (DataPart(value),)


# --- stage, instructions, when ---------------------------------------------------------------------


def _prepared(state: AgentState, d: Definition, command: Evaluate, values: dict[str, Any]) -> None:
    before = state.stage
    name = command.function or "when"
    state.prepared = (*state.prepared, name)
    if name == "instructions":
        state.extra_instructions = str(values.get("result") or "")
    elif name == "stage":
        chosen = values.get("result")
        if chosen is not None and d.stage(str(chosen)) is None:
            known = ", ".join(stage.id for stage in d.spec.stages)
            failed(state, Failure("script-error", f"the script's stage(task) gave '{chosen}'; the stages are: {known}"))
            return
        _enter(state, str(chosen) if chosen is not None else before)
    elif values.get("when"):
        _enter(state, d.after(before))
    if not state.closing:
        steps.prepare(state, d)
    elif state.stage != before:
        closing.moved(state, d)
    else:
        closing.conclude(state, d)


def _enter(state: AgentState, stage: str) -> None:
    if stage != state.stage:
        state.stage = stage
        state.stage_turns = 0
