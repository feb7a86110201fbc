"""A task's journal as spans, in the words of OpenTelemetry's conventions for generative AI (version CONVENTIONS).

Pure: the same events give the same spans with the same ids, whichever process reads them.
"""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.commands import Ask, CallModel, CallTool, Command, RunCommand, StartChild, Wait
from agenthost.core.errors import Failure
from agenthost.core.events import Answered, Asked, ChildResult, Claimed, Created, Finished, Recorded, Retried, RunResult
from agenthost.core.models import ModelAnswer
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult
from agenthost.core.traces import parent_of, span_id, trace_id
from agenthost.telemetry import messages

CONVENTIONS = "1.41.0"
SCHEMA = f"https://opentelemetry.io/schemas/{CONVENTIONS}"

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]

_STOPS = {"end": "stop", "calls": "tool_calls", "length": "length", "refusal": "content_filter"}
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}


class SpanData(Struct, frozen=True):
    """A span that has ended. Times in seconds since the epoch. `error` is its `error.type`, empty where it went well.
    `link`: trace, span and whether it is sampled, of what it came from."""

    trace: str
    id: str
    parent: str
    name: str
    start: float
    end: float
    attributes: Attributes
    client: bool = False
    error: str = ""
    message: str = ""
    link: tuple[str, str, bool] | None = None


class _Open(Struct):
    command: Command
    since: float
    attempt: int = 1


class Story:
    """The spans of one task, event by event. `stands_for` tells the `provider:model` that a model's name is."""

    def __init__(self, stands_for: dict[str, str], content: bool) -> None:
        self.seq = 0
        self._stands_for = stands_for
        self._content = content
        self._spec: TaskSpec | None = None
        self._began = 0.0
        self._open: dict[str, _Open] = {}
        self._tokens = [0, 0]
        self._owners = 0

    def take(self, recorded: Recorded) -> list[SpanData]:
        """The spans that end with an event."""
        event, at = recorded.event, recorded.at
        self.seq = recorded.seq
        if isinstance(event, Created):
            self._spec, self._began = event.spec, at
        elif isinstance(event, Claimed):
            self._owners += 1
        elif isinstance(event, Asked):
            self._open[event.command.id] = _Open(event.command, at)
        elif isinstance(event, Retried):
            return self._retried(event, at)
        elif isinstance(event, Answered):
            return self._answered(event, at)
        elif isinstance(event, Finished) and self._spec is not None:
            left = [self._ended(id, entry, at, None, _LEFT) for id, entry in self._open.items()]
            self._open.clear()
            return [span for span in left if span is not None] + [self._task(event, at)]
        return []

    def _retried(self, event: Retried, at: float) -> list[SpanData]:
        entry = self._open.get(event.command)
        if entry is None:
            return []
        span = self._ended(event.command, entry, at, None, event.failure)
        entry.since, entry.attempt = at + event.delay, max(event.attempt, entry.attempt + 1)
        return [span] if span is not None and isinstance(entry.command, CallModel) else []

    def _answered(self, event: Answered, at: float) -> list[SpanData]:
        entry = self._open.pop(event.command, None)
        span = self._ended(event.command, entry, at, event.answer, event.failure) if entry is not None else None
        return [span] if span is not None else []

    # --- one span

    def _ended(self, id: str, entry: _Open, at: float, answer: Any, failure: Failure | None) -> SpanData | None:
        spec = self._spec
        assert spec is not None
        command, key = entry.command, f"{spec.id}/{id}"
        told = self._told(command, answer)
        if told is None:
            return None
        name, attributes = told
        if isinstance(command, CallModel):
            key = f"{key}/{entry.attempt}"
            if entry.attempt > 1:
                attributes["agenthost.attempt"] = entry.attempt
        error, message = (failure.code, failure.message) if failure else _wrong(answer)
        if error:
            attributes["error.type"] = error
        attributes |= {"agenthost.task.id": spec.id, "agenthost.command.id": id}
        return SpanData(
            trace_id(spec.id),
            span_id(key),
            span_id(spec.id),
            name,
            entry.since,
            max(at, entry.since),
            attributes,
            isinstance(command, CallModel),
            error,
            # What a failure says may quote what was said.
            message if self._content else "",
        )

    def _told(self, command: Command, answer: Any) -> tuple[str, Attributes] | None:
        match command:
            case CallModel():
                return self._chat(command, answer if isinstance(answer, ModelAnswer) else None)
            case CallTool():
                return f"execute_tool {command.tool}", self._tool(command, answer)
            case RunCommand():
                return "run_command", _run(answer)
            case StartChild():
                return f"step {command.id}", {"agenthost.child": command.name, "agenthost.role": command.role}
            case Ask():
                return f"ask {command.kind}", {"agenthost.ask.kind": command.kind}
            case Wait():
                return "wait", {}
            case _:
                return None

    def _chat(self, command: CallModel, answer: ModelAnswer | None) -> tuple[str, Attributes]:
        provider, model = _named(self._stands_for.get(command.model, command.model))
        spec = self._spec
        assert spec is not None
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider or "_OTHER"),
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": command.max_output,
            "gen_ai.agent.name": spec.name,
            "agenthost.purpose": command.purpose,
        }
        if spec.conversation:
            attributes["gen_ai.conversation.id"] = spec.conversation
        if answer is not None:
            usage = answer.usage
            self._tokens[0] += usage.input
            self._tokens[1] += usage.output
            attributes |= {
                "gen_ai.response.model": answer.model or model,
                "gen_ai.response.finish_reasons": (_STOPS[answer.stop],),
                "gen_ai.usage.input_tokens": usage.input,
                "gen_ai.usage.output_tokens": usage.output,
            }
            if usage.cached:
                attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached
            if usage.cache_written:
                attributes["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_written
            if usage.reasoning:
                attributes["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
            if self._content:
                attributes["gen_ai.output.messages"] = messages.answered(answer, _STOPS[answer.stop])
        return f"chat {model}", attributes

    def _tool(self, command: CallTool, answer: Any) -> Attributes:
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": command.tool,
            "gen_ai.tool.type": "function",
        }
        if command.call_id:
            attributes["gen_ai.tool.call.id"] = command.call_id
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = msgspec.json.encode(command.arguments).decode()
            if isinstance(answer, ToolResult):
                attributes["gen_ai.tool.call.result"] = messages.parts(answer.parts)
        return attributes

    def _task(self, event: Finished, at: float) -> SpanData:
        spec, verdict = self._spec, event.verdict
        assert spec is not None
        agent = spec.kind == "agent"
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent" if agent else "invoke_workflow",
            "gen_ai.agent.name" if agent else "gen_ai.workflow.name": spec.name,
            "gen_ai.usage.input_tokens": self._tokens[0],
            "gen_ai.usage.output_tokens": self._tokens[1],
            "agenthost.task.id": spec.id,
            "agenthost.namespace": spec.namespace,
            "agenthost.outcome": verdict.outcome,
            "agenthost.owners": self._owners,
        }
        if spec.conversation:
            attributes["gen_ai.conversation.id"] = spec.conversation
        if spec.role:
            attributes["agenthost.role"] = spec.role
        error = "" if verdict.outcome in ("done", "canceled") else verdict.code or verdict.outcome
        if error:
            attributes["error.type"] = error
        if self._content:
            attributes["gen_ai.input.messages"] = messages.said(spec.message)
            attributes["gen_ai.output.messages"] = messages.came_of(event)
        return SpanData(
            trace_id(spec.id),
            span_id(spec.id),
            span_id(f"{spec.parent}/{spec.parent_command}") if spec.parent else "",
            f"{'invoke_agent' if agent else 'invoke_workflow'} {spec.name}",
            self._began,
            max(at, self._began),
            attributes,
            error=error,
            message=verdict.reason if self._content else "",
            link=parent_of(spec.caused) if spec.caused else None,
        )


_LEFT = Failure("stopped", "the task ended before it had an answer")


def _named(model: str) -> tuple[str, str]:
    """Provider and model of `provider:model`."""
    provider, colon, name = model.partition(":")
    return (provider, name) if colon else ("", model)


def _wrong(answer: Any) -> tuple[str, str]:
    if isinstance(answer, ToolResult) and answer.error:
        return "tool-error", ""
    if isinstance(answer, RunResult) and answer.limit:
        return f"limit-{answer.limit}", ""
    if isinstance(answer, ChildResult) and answer.verdict.outcome not in ("done", "canceled"):
        return answer.verdict.code or answer.verdict.outcome, answer.verdict.reason
    return "", ""


def _run(answer: Any) -> Attributes:
    if not isinstance(answer, RunResult):
        return {}
    found: Attributes = {"process.exit.code": answer.exit_code}
    if answer.limit:
        found["agenthost.sandbox.limit"] = answer.limit
    return found
