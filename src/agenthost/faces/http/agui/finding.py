"""Which task a run is about: one that its answers name, one that it was cut off from, or a new one."""

from ag_ui.core import ResumeEntry, RunAgentInput, ToolMessage, UserMessage
from msgspec import Struct

from agenthost.core.access import Caller
from agenthost.core.api import HostApi, OpenQuestion, Order, TaskDetail
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.events import Created
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import FilePart, Message, TextPart, text_of
from agenthost.core.ports import Filter
from agenthost.faces.http.agui import asking
from agenthost.faces.http.agui.given import Props, Warn, last_said, parts_of, terms_of


class Found(Struct, frozen=True):
    """The task of a run. `before`: how far each journal of its tree was when the run came to it; empty for a new one.
    `again`: the front end may not have seen all of that."""

    task: str
    before: dict[str, int]
    again: bool


class Finder:
    """Finds the task of one run's input, or starts it. `key`: the same key starts the same work once."""

    def __init__(
        self, api: HostApi, caller: Caller, agent: str, key: str, given: RunAgentInput, props: Props, warn: Warn
    ):
        self._api = api
        self._caller = caller
        self._agent = agent
        self._key = key
        self._given = given
        self._props = props
        self._warn = warn

    async def find(self, unseen: str) -> Found:
        """The run's task. `unseen`: one of this thread whose end nobody saw. Raises what the host raises, and BadInput
        where answers are missing or wrong; nothing is done then."""
        detail = await self._answered()
        if detail is not None:
            return await self._go_on(detail)
        order = await self._order()
        last = await self._last()
        if last is not None and (last.row.state not in FINAL or last.row.id == unseen):
            if await self._same(last.row.id, order):
                return _attached(last)
            if last.row.state not in FINAL and last.questions:
                return await self._beside(last, order)
        row = await self._api.start(order)
        return Found(row.id, {}, False)

    # --- answers ---

    async def _answered(self) -> TaskDetail | None:
        """The task that the answers of this input name, where it is one of this thread."""
        named = [entry.interrupt_id for entry in self._given.resume or ()]
        named += [message.tool_call_id for message in self._results()]
        for id in dict.fromkeys(root_id(each.partition("/")[0]) for each in named):
            try:
                detail = await self._api.task(id)
            except (NotFound, BadInput):
                continue
            if (detail.row.conversation, detail.row.name) == (self._given.thread_id, self._agent):
                return detail
        for entry in self._given.resume or ():
            self._warn(f"the answer to '{entry.interrupt_id}' was left out: no task of this thread asked that")
        return None

    def _results(self) -> list[ToolMessage]:
        """What tools of the front end gave since the person spoke last."""
        since = self._given.messages[last_said(self._given) + 1 :]
        found = [message for message in since if isinstance(message, ToolMessage)]
        if found:
            return found
        # Something may be said after the results: those that stand right before it count as well.
        before = self._given.messages[: max(0, last_said(self._given))]
        while before and isinstance(message := before[-1], ToolMessage):
            found.append(message)
            before = before[:-1]
        return found

    async def _go_on(self, detail: TaskDetail) -> Found:
        """Answer what the input answers; what is said beside it goes to the task as a message."""
        before = _places(detail)
        replies = self._replies(detail.questions)
        last = last_said(self._given)
        said = self._given.messages[last] if last >= 0 else None
        newer = isinstance(said, UserMessage) and isinstance(self._given.messages[last - 1], ToolMessage) and last > 0
        if newer and detail.row.state not in FINAL and isinstance(said, UserMessage):
            parts = await parts_of(self._api, said.content, self._warn)
            await self._api.say(detail.row.id, Message(self._caller.person, parts, f"ag-ui:{said.id}"))
        for question, text in replies:
            await self._reply(detail.row.id, question, text)
        return Found(detail.row.id, before, again=True)

    async def _reply(self, task: str, question: OpenQuestion, text: str) -> None:
        id = asking.named(question.task, question.ask.id)
        await self._api.reply(task, text, id, self._caller.person, "ag-ui")

    def _replies(self, questions: tuple[OpenQuestion, ...]) -> list[tuple[OpenQuestion, str]]:
        """The answers among the input, each checked before any is given."""
        entries: dict[str, ResumeEntry] = {entry.interrupt_id: entry for entry in self._given.resume or ()}
        results = {message.tool_call_id: message for message in self._results()}
        found: list[tuple[OpenQuestion, str]] = []
        missing: list[str] = []
        for question in questions:
            id = asking.named(question.task, question.ask.id)
            if question.ask.kind == "tool":
                if id in results:
                    found.append((question, asking.result_text(results[id])))
                else:
                    missing.append(id)
            elif id in entries:
                found.append((question, asking.answer(question.ask, entries.pop(id))))
        if missing:
            raise _unanswered(missing)
        for id in entries:
            self._warn(f"the answer to '{id}' was left out: that question isn't open")
        return found

    # --- a task that is there already ---

    async def _last(self) -> TaskDetail | None:
        """The newest task of this thread with this agent."""
        wanted = Filter(
            self._caller.namespace,
            roots_only=True,
            name=self._agent,
            person=self._caller.person,
            conversation=self._given.thread_id,
        )
        # A task that was started with a key has an id that says nothing of when.
        rows = sorted(await self._api.tasks(wanted), key=lambda row: row.created)
        return await self._api.task(rows[-1].id) if rows else None

    async def _same(self, task: str, order: Order) -> bool:
        """Whether a task was started by the same input: then this is somebody who lost the connection."""
        first = (await self._api.events(task, 0, 1))[0].event
        if not isinstance(first, Created):
            return False
        text: tuple[TextPart | FilePart, ...] = (TextPart(order.text),) if order.text else ()
        history = order.terms.history if order.terms else ()
        was = first.spec.terms.history if first.spec.terms else ()
        return (first.spec.message.parts, was) == ((*text, *order.files), history)

    async def _beside(self, last: TaskDetail, order: Order) -> Found:
        """Something new is said while the task waits. That answers a plain question; anything else stays open."""
        tools = [asking.named(each.task, each.ask.id) for each in last.questions if each.ask.kind == "tool"]
        if tools:
            raise _unanswered(tools)
        before = _places(last)
        if len(last.questions) == 1 and last.questions[0].ask.kind == "input" and order.text:
            await self._reply(last.row.id, last.questions[0], order.text)
        else:
            self._warn("the task waits for answers, and nothing new was started: give one for each of its interrupts")
        return Found(last.row.id, before, again=True)

    # --- a new one ---

    async def _order(self) -> Order:
        given, last = self._given, last_said(self._given)
        said = given.messages[last] if last >= 0 else None
        parts = await parts_of(self._api, said.content, self._warn) if isinstance(said, UserMessage) else ()
        workflow = self._agent in await self._api.manifests("workflow")
        return Order(
            self._agent,
            text_of(parts),
            tuple(part for part in parts if isinstance(part, FilePart)),
            inputs=self._props.inputs,
            model=self._props.model,
            title=self._props.title,
            key=self._key,
            namespace=self._caller.namespace,
            person=self._caller.person,
            conversation=given.thread_id,
            terms=None if workflow else await terms_of(self._api, given, self._props, self._warn),
        )


def _places(detail: TaskDetail) -> dict[str, int]:
    return {row.id: row.seq for row in (detail.row, *detail.children)}


def _attached(detail: TaskDetail) -> Found:
    return Found(detail.row.id, _places(detail), again=True)


def _unanswered(calls: list[str]) -> BadInput:
    return BadInput(
        f"the task waits for what tools of the application gave: {', '.join(calls)}; "
        "send a tool message for each, one that says what went wrong where it can't be run"
    )
