"""Agents for tests, and playbooks of them."""

from typing import Any

from agenthost.core.commands import CallModel
from agenthost.core.definitions import Bundle, PinnedAgent, PinnedModel, PinnedTool
from agenthost.core.manifests.agent import Agent
from agenthost.core.models import ModelAnswer, ModelRequest, Usage
from agenthost.core.parts import Message, Part, TextPart, text_of
from agenthost.core.tasks import TaskSpec, Terms
from agenthost.core.tools import ToolCall
from agenthost.programs.agent import AgentProgram, AgentState
from agenthost.testing.playbook import Playbook

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = (
    PinnedTool(name="look", description="Look.", read_only=True),
    PinnedTool(name="send", description="Send.", parameters=TEXT),
    PinnedTool(name="pay", description="Pay.", parameters=TEXT, approval=True),
    PinnedTool(name="finish", description="A tool that happens to be called so.", read_only=True),
    PinnedTool(name="write_file", description="Write.", idempotent=True, workspace=True),
    PinnedTool(name="run", description="Run.", idempotent=True, workspace=True, sandbox=True),
)
ALL = ["look", "send", "pay", "write_file", "ask", "delegate:helper", "delegate:coder"]


def manifest(name: str, **spec: Any) -> Agent:
    """An agent's manifest."""
    return Agent.model_validate({"metadata": {"name": name}, "spec": {"instructions": "Be good.", **spec}})


def bundle(model: dict[str, Any] | None = None, **spec: Any) -> Bundle:
    """A bundle with the agent `coder` of this spec, an agent `helper`, and four tools."""
    card = PinnedModel(**({"name": "m", "window": 100_000, "max_output": 4_000} | (model or {})))
    tools = {tool.name: (tool,) for tool in TOOLS}
    coder = PinnedAgent(manifest=manifest("coder", **spec), tools=tools, model=card)
    helper = PinnedAgent(manifest=manifest("helper", description="It helps."), model=card)
    return Bundle(agents={"coder": coder, "helper": helper})


def play(
    say: str | tuple[Part, ...] = "do it",
    model: dict[str, Any] | None = None,
    chain: tuple[str, ...] = (),
    terms: Terms | None = None,
    **spec: Any,
) -> Playbook[AgentState]:
    """A playbook of the agent `coder`, which has just begun."""
    parts = (TextPart(say),) if isinstance(say, str) else say
    message = Message("person", parts)
    task = TaskSpec("t1", "agent", "coder", "sha256:0", message, title="the title", chain=chain, terms=terms)
    return Playbook(AgentProgram(bundle(model, **spec)), task)


def says(text: str, stop: Any = "end", tokens: int = 0) -> ModelAnswer:
    """An answer in words; `tokens` are those of the request as the provider counted them."""
    return ModelAnswer((TextPart(text),) if text else (), (), stop, Usage(tokens, 1 if tokens else 0))


def calls(*wanted: tuple[str, str], stop: Any = "calls", text: str = "", tokens: int = 0) -> ModelAnswer:
    """An answer that calls tools: names and arguments as JSON text."""
    made = tuple(ToolCall(f"k{index}", name, arguments) for index, (name, arguments) in enumerate(wanted))
    return ModelAnswer((TextPart(text),) if text else (), made, stop, Usage(tokens))


def request(book: Playbook[AgentState], id: str) -> ModelRequest:
    """What the model is shown for an open call."""
    command = book.open[id]
    assert isinstance(command, CallModel), f"{id} is {command}"
    return book.program.render(book.state, command)


def last(book: Playbook[AgentState], id: str) -> str:
    """The words of the last turn that the model is shown for an open call."""
    return request(book, id).turns[-1].text


def verdict(book: Playbook[AgentState]) -> tuple[str, str, str]:
    """How it ended: outcome, code, reason."""
    assert book.finish is not None, f"it has not ended; open are: {', '.join(book.open)}"
    assert book.open == {}
    found = book.finish.verdict
    return found.outcome, found.code, found.reason


def output(book: Playbook[AgentState]) -> str:
    """The words that came out."""
    assert book.finish is not None
    return text_of(book.finish.parts)
