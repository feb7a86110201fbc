"""The functions of a manifest's script take part: `instructions(task)`, `stage(task)`, `on_message(message)`.

Scripts are resumed by running them again against the answers that are journalled so far.
"""

import ast
from typing import Any

import msgspec

from agenthost.core.commands import Ask, CallModel, CallTool, Command, Evaluate, View
from agenthost.core.definitions import PinnedTool
from agenthost.core.errors import Failure, nearest
from agenthost.core.events import Answer, Reply, ScriptRequest
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import DataPart, Message, TextPart
from agenthost.core.ports import Evaluation
from agenthost.core.tools import ToolResult
from agenthost.programs.agent.state import AgentState

MAX_REQUESTS = 200
"""How many requests to the host one call of `on_message` may make."""


def functions(source: str) -> frozenset[str]:
    """The names of the functions that a script defines; none where it can't be read."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return frozenset()
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def message_value(message: Message) -> dict[str, Any]:
    """A message as scripts see it."""
    files = [msgspec.to_builtins(part) for part in message.parts if not isinstance(part, TextPart | DataPart)]
    text = "\n".join(part.text for part in message.parts if isinstance(part, TextPart))
    data = [part.data for part in message.parts if isinstance(part, DataPart)]
    return {"sender": message.sender, "text": text, "files": files, "data": data}


def task_value(state: AgentState) -> dict[str, Any]:
    """A task as scripts and stage expressions see it."""
    return {
        "id": state.spec.id,
        "title": state.spec.title,
        "agent": state.spec.name,
        "stage": state.stage,
        "turns": state.model_calls,
        "calls": state.tool_calls,
        "text": state.last_text,
        "files": sorted(path for path, digest in state.written.items() if digest),
        "message": message_value(state.spec.message),
    }


def evaluation(state: AgentState, command: Evaluate, source: str) -> Evaluation:
    """Everything that an Evaluate of this agent needs."""
    task = task_value(state)
    if not command.function:
        names = {key: task[key] for key in ("turns", "calls", "text", "files", "stage")} | {
            "task": task,
            "stage_turns": state.stage_turns,
        }
        return Evaluation(command.expressions, names)
    names = {"message": message_value(state.spec.message)} if command.function == "on_message" else {"task": task}
    answers = tuple(state.script_answers) if command.function == "on_message" else ()
    return Evaluation({}, names, source, command.function, answers)


def ask_for(state: AgentState, request: ScriptRequest, model: CallModel, tools: dict[str, PinnedTool]) -> Command | str:
    """The command that a script's request stands for, or what is wrong with the request."""
    name = f"x{len(state.script_answers) + 1}"
    wanted = request.arguments
    if request.function == "call_model":
        state.script_prompt = str(wanted.get("prompt", ""))
        schema = wanted.get("schema")
        state.script_schema = dict(schema) if isinstance(schema, dict) else None  # pyright: ignore[reportUnknownArgumentType]
        return msgspec.structs.replace(model, id=name, purpose="script", view=View(0, 0))
    if request.function == "ask":
        options = wanted.get("options")
        words = tuple(str(item) for item in options) if isinstance(options, list | tuple) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return Ask(name, "input", str(wanted.get("question", "")), words)
    if request.function == "make_artifact":
        called, arguments = "write_file", {"path": wanted.get("name", ""), "content": wanted.get("text", "")}
    elif request.function == "call_tool":
        called = str(wanted.get("name", ""))
        arguments = {key: value for key, value in wanted.items() if key != "name"}
    else:
        return f"a script can't call '{request.function}'; it may call call_model, call_tool, ask and make_artifact"
    tool = tools.get(called)
    if tool is None:
        return f"there is no tool '{called}' for this agent. {nearest(called, sorted(tools))}"
    return CallTool(name, called, arguments, name, tool.read_only or tool.idempotent)


def answer_value(answer: Answer | None, failure: Failure | None) -> dict[str, Any]:
    """An answer as it is handed back to the script: a value, or an error that is raised in it."""
    if failure is not None:
        return {"error": failure.message}
    if isinstance(answer, ModelAnswer):
        return {"value": answer.text}
    if isinstance(answer, Reply):
        return {"value": answer.text}
    if isinstance(answer, ToolResult):
        return {"error": answer.text} if answer.error else {"value": answer.text}
    return {"value": None}
