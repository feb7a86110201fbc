"""The port `core.ports.Resumable` over a remote agent: an answer is what its task came to."""

import asyncio
from collections.abc import Callable

import msgspec
from a2a.types.a2a_pb2 import Message, Role, StreamResponse, Task, TaskState

from agenthost.core.errors import Permanent, Temporary
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest, Usage
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall
from agenthost.models.a2a import plan as plans
from agenthost.models.a2a.files import Keep, Produced, Read, read_artifacts, read_parts, written
from agenthost.models.a2a.plan import Handle, Mark, Plan
from agenthost.models.a2a.wire import Wire

Tell = Callable[[Delta], None]

PATIENCE = 600.0
"""Seconds that an agent which was given work may be out of reach before that is a failure."""
FIRST, MOST = 0.3, 5.0
"""Seconds between two looks at a task; doubles from the first to the last."""
HEARD = 30.0
"""Seconds in which a task may still show the question that was answered; after them it is asked again."""
_BYTES_A_TOKEN = 4
_INTERRUPTED = (TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED)
_FAILED = {
    int(TaskState.TASK_STATE_FAILED): "failed",
    int(TaskState.TASK_STATE_REJECTED): "rejected the work",
    int(TaskState.TASK_STATE_CANCELED): "canceled the work",
}
DOUBT = (
    "The host stopped while this was being given to another agent, and that one can't say whether it has it. Doing it "
    "twice may do harm. What is right?"
)


class RemoteAgent:
    """A remote agent by the name `name`. `read` and `keep` are the host's files."""

    def __init__(self, name: str, wire: Wire, read: Read, keep: Keep, patience: float = PATIENCE) -> None:
        self.wire = wire
        self._read = read
        self._keep = keep
        self._patience = patience
        # It has a budget of its own; ours has nothing to count but its turns.
        self._card = ModelCard(
            name, window=10_000_000, max_output=1_000_000, input_price=0.0, output_price=0.0, background=True
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    async def answer(self, request: ModelRequest, tell: Tell) -> ModelAnswer:
        """The whole of it at once, for who keeps no journal."""
        return await self.resume(await self.begin(request), request, tell)

    # --- the port ---------------------------------------------------------------------------------

    async def begin(self, request: ModelRequest) -> str:
        """Give the remote agent what is to be said. After a try that was cut off, it is asked first whether it has it."""
        if plans.gave_up(request):
            raise Permanent(
                "it can't be known whether the other agent has the work, and it was given up", code="in-doubt"
            )
        plan = plans.next_plan(request)
        if plan is None:
            return Handle(said=True).encode()
        _, attempt = plans.attempt_of(request)
        if attempt > 1:
            found = await self._looked_up(plan)
            if found is not None:
                return found.encode()
        return (await self._given(plan)).encode()

    async def resume(self, handle: str, request: ModelRequest, tell: Tell) -> ModelAnswer:
        """Wait for what the remote task comes to, however long it takes."""
        answer = await self._resumed(plans.read_handle(handle), request, tell)
        return msgspec.structs.replace(answer, model=self._card.name)

    async def _resumed(self, begun: Handle, request: ModelRequest, tell: Tell) -> ModelAnswer:
        if begun.said:
            return _stands(request)
        if begun.doubt:
            call = plans.call("doubt", plans.ASK, {"question": DOUBT, "options": [plans.AGAIN, plans.GIVE_UP]})
            return _called((), call, Mark("doubt"))
        if begun.message is not None:
            return _ended(begun.message, Mark("done"))
        return await self._awaited(begun, tell)

    async def cancel(self, handle: str) -> None:
        """Have the remote task end."""
        begun = plans.read_handle(handle)
        if begun.task:
            await self.wire.cancel(begun.task)

    # --- giving -----------------------------------------------------------------------------------

    async def _given(self, plan: Plan) -> Handle:
        message = Message(
            message_id=plan.id,
            context_id=plan.context,
            task_id=plan.task,
            role=Role.ROLE_USER,
            parts=[await written(part, self._read) for part in plan.parts],
            reference_task_ids=[plan.earlier] if plan.earlier else [],
        )
        answer = await self.wire.send(message)
        if isinstance(answer, Task):
            return Handle(task=answer.id, question=plan.question)
        said = await read_parts(answer.parts, self.wire, self._keep)
        return Handle(message=(TextPart(said.text),))

    async def _looked_up(self, plan: Plan) -> Handle | None:
        """Where a message that may have arrived has led; None where it surely hasn't arrived."""
        if plan.task:
            task = await self.wire.task(plan.task)
            if task is None:
                raise _lost(self.wire.name, plan.task)
            waits = task.status.state in _INTERRUPTED and task.status.message.message_id == plan.question
            return None if waits else Handle(task=plan.task, question=plan.question)
        task, sure = await self.wire.find(plan.context, plan.id)
        if task is not None:
            return Handle(task=task.id)
        return None if sure else Handle(doubt=True)

    # --- waiting ----------------------------------------------------------------------------------

    async def _awaited(self, begun: Handle, tell: Tell) -> ModelAnswer:
        loop = asyncio.get_running_loop()
        wait, failing, id = FIRST, 0.0, begun.task
        until = loop.time() + HEARD
        while True:
            try:
                task = await self.wire.task(id)
                if task is None:
                    raise _lost(self.wire.name, id)
                heard = task.status.message.message_id != begun.question or loop.time() > until
                answer = await self._answer(task) if not begun.question or heard else None
                if answer is not None:
                    return answer
                failing = 0.0
                told = await self._followed(id, tell)
                wait = FIRST if told else wait
            except Temporary as error:
                failing = failing or loop.time()
                if loop.time() - failing > self._patience:
                    raise
                tell(Delta(notice=f"{error.message}; it is tried again"))
            await asyncio.sleep(wait)
            wait = min(MOST, wait * 2)

    async def _followed(self, id: str, tell: Tell) -> bool:
        """Show what a task says while it goes on; whether anything came."""
        said = Said(tell)
        came = False
        async for event in self.wire.follow(id):
            came = True
            if said.take(event):
                break
        return came

    async def _answer(self, task: Task) -> ModelAnswer | None:
        """What a task has come to; None while it goes on."""
        state = task.status.state
        if state in _INTERRUPTED:
            return _question(task)
        if (how := _FAILED.get(int(state))) is not None:
            why = _words(task.status.message)
            raise Permanent(f"the agent at {self.wire.name} {how}" + (f": {why}" if why else ""), code="remote-failed")
        if state != TaskState.TASK_STATE_COMPLETED:
            return None
        found = await read_artifacts(task.artifacts, self.wire, self._keep)
        if not found.text and (said := _words(task.status.message)):
            found.texts.append(said)
        return _completed(task, found)


class Said:
    """The words of a task as they come, told as they belong."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._shown = False

    def take(self, event: StreamResponse) -> bool:
        """Show an event; whether it is the last that is waited for."""
        kind = event.WhichOneof("payload")
        if kind == "task":
            # It asked between the look and the stream, which says no more of it until somebody answers.
            return event.task.status.state in _INTERRUPTED
        if kind == "artifact_update":
            update = event.artifact_update
            text = "".join(part.text for part in update.artifact.parts)
            if self._shown and not update.append:
                self._tell(Delta(reset=True))
            if text:
                self._shown = True
                self._tell(Delta(text=text))
        elif kind == "status_update":
            status = event.status_update.status
            if status.state == TaskState.TASK_STATE_WORKING and (words := _words(status.message)):
                self._tell(Delta(notice=words))
            return status.state in _INTERRUPTED
        return False


def _completed(task: Task, found: Produced) -> ModelAnswer:
    parts: tuple[Part, ...] = (TextPart(found.text or "Done; nothing more was said."),)
    if not found.files:
        return _ended(parts, Mark("done", task.id))
    files = [{"path": path, "digest": digest} for path, digest in sorted(found.files.items())]
    return _called(parts, plans.call(f"files-{task.id}", plans.KEEP, {"files": files}), Mark("kept", task.id))


def _question(task: Task) -> ModelAnswer:
    """What a task asks, as a call of the tool that asks a person."""
    message = task.status.message
    question = _words(message) or "The other agent needs something to go on, and doesn't say what."
    if task.status.state == TaskState.TASK_STATE_AUTH_REQUIRED:
        question = f"The other agent wants somebody to sign in or allow it something: {question}"
    arguments: dict[str, object] = {"question": question}
    for part in message.parts:
        if part.WhichOneof("content") == "data":
            options = part.data.struct_value.fields.get("options")
            if options is not None and options.list_value.values:
                arguments["options"] = [option.string_value for option in options.list_value.values]
    call = plans.call(f"ask-{task.id}", plans.ASK, arguments)
    return _called((), call, Mark("waiting", task.id, message.message_id))


def _stands(request: ModelRequest) -> ModelAnswer:
    """The answer that was given with its files, now that they are kept."""
    last, after = plans.last_said(request.turns)
    assert last is not None
    mark = plans.mark_of(last.state)
    wrong = [turn.text for turn in after if turn.role == "tool" and turn.error]
    parts = (*last.parts, *(TextPart(f"[Its files could not be kept: {text}]") for text in wrong))
    return _ended(parts, Mark("done", mark.task if mark is not None else ""))


def _ended(parts: tuple[Part, ...], mark: Mark) -> ModelAnswer:
    return ModelAnswer(parts, usage=_usage(parts), state=msgspec.json.encode(mark).decode())


def _called(parts: tuple[Part, ...], call: ToolCall, mark: Mark) -> ModelAnswer:
    return ModelAnswer(parts, (call,), "calls", _usage(parts), state=msgspec.json.encode(mark).decode())


def _usage(parts: tuple[Part, ...]) -> Usage:
    """What is counted of an answer that cost others something: its own length."""
    size = sum(len(part.text) for part in parts if isinstance(part, TextPart))
    return Usage(output=size // _BYTES_A_TOKEN + 1)


def _words(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if part.text)


def _lost(name: str, task: str) -> Permanent:
    return Permanent(
        f"the agent at {name} no longer knows the task '{task}', which it had; what became of it isn't known, and it "
        "isn't given again",
        code="remote-lost",
    )
