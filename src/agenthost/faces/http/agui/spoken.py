"""What is said in a run: messages, thinking and calls as they are opened, continued and closed, and the conversation as
it stands then. Every item is closed before a run ends (spec, "Streaming Messages")."""

from dataclasses import dataclass

from ag_ui.core import (
    ActivityMessage,
    AssistantMessage,
    BaseEvent,
    FunctionCall,
    Message,
    MessagesSnapshotEvent,
    ReasoningEndEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCall,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
    ToolMessage,
)


@dataclass(frozen=True)
class Speaker:
    """Who says it: `subagent` is the id of the task below the run's own, None for that itself; `name` for people."""

    name: str
    subagent: str | None = None


class Spoken:
    """The conversation of a run. `silent`: nothing is told, what is said is already known to the other side."""

    def __init__(self, messages: list[Message]) -> None:
        self.silent = False
        self.calls: list[str] = []
        """Calls that this run began, in order."""
        self.answered: set[str] = set()
        self._events: list[BaseEvent] = []
        self._messages: dict[str, Message] = {
            message.id: message for message in messages if not isinstance(message, ActivityMessage)
        }
        self._texts: dict[str, list[str]] = {}
        self._thoughts: dict[str, Speaker] = {}

    def taken(self) -> list[BaseEvent]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def tell(self, event: BaseEvent) -> None:
        """Another event, in its place among these."""
        if not self.silent:
            self._events.append(event)

    # --- words ---

    def add(self, who: Speaker, id: str, text: str) -> None:
        """More words of a message, which opens with its first."""
        if id not in self._texts:
            self._texts[id] = []
            self.tell(TextMessageStartEvent(message_id=id, role="assistant", subagent_run_id=who.subagent))
        if text:
            self._texts[id].append(text)
            self.tell(TextMessageContentEvent(message_id=id, delta=text, subagent_run_id=who.subagent))

    def say(self, who: Speaker, id: str, text: str) -> None:
        """The whole of a message, as it stands in the journal, whatever of it was told before."""
        told = "".join(self._texts.get(id, ()))
        wrong = bool(told) and not text.startswith(told)
        if text and not wrong:
            self.add(who, id, text[len(told) :])
        self.end(who, id)
        self._keep(who, id, text)
        if wrong:
            self.restate()

    def end(self, who: Speaker, id: str) -> None:
        """Close a message, where it is open."""
        if self._texts.pop(id, None) is not None:
            self.tell(TextMessageEndEvent(message_id=id, subagent_run_id=who.subagent))

    def take_back(self, who: Speaker, id: str) -> None:
        """What was told of a message doesn't count: it begins again."""
        if self._texts.get(id):
            self.end(who, id)
            self.restate()

    def _keep(self, who: Speaker, id: str, text: str) -> None:
        before = self._messages.get(id)
        calls = before.tool_calls if isinstance(before, AssistantMessage) else None
        if text or calls:
            message = AssistantMessage(id=id, content=text or None, tool_calls=calls, subagent_run_id=who.subagent)
            self._messages[id] = message

    # --- thinking ---

    def think(self, who: Speaker, id: str, text: str) -> None:
        """More of what a model thinks before it answers."""
        if id not in self._thoughts:
            self._thoughts[id] = who
            self.tell(ReasoningStartEvent(message_id=id, subagent_run_id=who.subagent))
            self.tell(ReasoningMessageStartEvent(message_id=id, subagent_run_id=who.subagent))
        self.tell(ReasoningMessageContentEvent(message_id=id, delta=text, subagent_run_id=who.subagent))

    def thought(self, id: str) -> None:
        """The thinking is over, where there was any."""
        if (who := self._thoughts.pop(id, None)) is not None:
            self.tell(ReasoningMessageEndEvent(message_id=id, subagent_run_id=who.subagent))
            self.tell(ReasoningEndEvent(message_id=id, subagent_run_id=who.subagent))

    # --- calls ---

    def call(self, who: Speaker, id: str, name: str, arguments: str, parent: str) -> None:
        """A call of a tool, as part of the message `parent`."""
        message = self._messages.get(parent)
        calls = list(message.tool_calls or ()) if isinstance(message, AssistantMessage) else []
        if any(call.id == id for call in calls):
            return
        calls.append(ToolCall(id=id, function=FunctionCall(name=name, arguments=arguments)))
        content = message.content if isinstance(message, AssistantMessage) else None
        self._messages[parent] = AssistantMessage(
            id=parent, content=content, tool_calls=calls, subagent_run_id=who.subagent
        )
        if not self.silent:
            self.calls.append(id)
        self.tell(
            ToolCallStartEvent(
                tool_call_id=id, tool_call_name=name, parent_message_id=parent, subagent_run_id=who.subagent
            )
        )
        self.tell(ToolCallArgsEvent(tool_call_id=id, delta=arguments, subagent_run_id=who.subagent))
        self.tell(ToolCallEndEvent(tool_call_id=id, subagent_run_id=who.subagent))

    def result(self, who: Speaker, call: str, text: str, failed: bool) -> None:
        """What came of a call."""
        id = f"{call}/result"
        self.answered.add(call)
        self._messages[id] = ToolMessage(
            id=id, content=text, tool_call_id=call, subagent_run_id=who.subagent, error=text if failed else None
        )
        self.tell(
            ToolCallResultEvent(
                message_id=id, tool_call_id=call, content=text, role="tool", subagent_run_id=who.subagent
            )
        )

    def begun(self, call: str) -> bool:
        """Whether a call was told of, in this run or one before."""
        return any(
            call == each.id
            for message in self._messages.values()
            if isinstance(message, AssistantMessage)
            for each in message.tool_calls or ()
        )

    @property
    def pending(self) -> list[str]:
        """The calls that this run began and that have no result."""
        return [call for call in self.calls if call not in self.answered]

    # --- all of it ---

    def restate(self) -> None:
        """Tell the whole conversation."""
        self.tell(MessagesSnapshotEvent(messages=list(self._messages.values())))

    def last_text(self) -> str:
        """What was said last by the run's own agent."""
        own = [
            message
            for message in self._messages.values()
            if isinstance(message, AssistantMessage) and message.subagent_run_id is None and message.content
        ]
        return own[-1].content or "" if own else ""

    def close(self, whom: dict[str, Speaker]) -> None:
        """Close what is open. `whom`: who says a message, by the beginning of its id up to the slash."""
        for id in list(self._thoughts):
            self.thought(id)
        for id in list(self._texts):
            self.end(whom.get(id.partition("/")[0], Speaker("")), id)
