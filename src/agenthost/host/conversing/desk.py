"""The use-cases of conversations: a message is kept, finds its task, and is done what it says; in the order in which
they came.

A line is on disk, with what was decided, before anything is done with it; what is done has an id that follows from the
line's. So whatever is cut off is done again at the next start, and comes to the same.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import OWNER
from agenthost.core.api import HostApi, Incoming, Placed
from agenthost.core.conversations import Conversations, Line, LineFilter, Moved, Thread, thread_of
from agenthost.core.errors import AgentHostError, Conflict, NotFound, Temporary, Unusable
from agenthost.core.routing import Decision, Scene, Spoken
from agenthost.core.tasks import TaskRow
from agenthost.engine.parts import Log
from agenthost.host.conversing import mending, scenes, wording
from agenthost.host.conversing.doing import Done
from agenthost.host.conversing.filing import Filing, Of
from agenthost.host.conversing.mending import Mender
from agenthost.host.conversing.moving import Mover
from agenthost.programs.routing import decide, given, rank

GUESSED = 4
"""The most tasks that the host offers where it must ask."""

AHEAD = ("list", "cancel", "progress", "pause", "resume", "move", "chat")
"""What is heard while an earlier message waits for its task: it is for no task's work."""

SAID_ALREADY = "That was said already. To change it: /move"

Ask = Callable[[Spoken, Scene, Line], Awaitable[Decision | None]]
"""One question to a small model about a line, however often it is asked for; None where there is none to be asked."""


class Ways(Struct, frozen=True):
    """How the desk reaches the rest of the host: `of` gives the host as a person may use it (None: they may not any
    more), `ask` a small model, `agent` takes what is new where none is named."""

    of: Of
    ask: Ask
    agent: str = ""


class Desk(Filing):
    """The port `core.conversations.Conversing`, for everybody: a caller's person and namespace come with each call."""

    def __init__(self, kept: Conversations, ways: Ways, mover: Mover, log: Log) -> None:
        super().__init__(kept, ways.of)
        self._ways = ways
        self._mover = mover
        self._mender = Mender(kept, mover)
        self._log = log
        self._coming: set[tuple[Thread, str]] = set()
        self.fresh: Callable[[], Awaitable[None]] = _nothing
        """Called before a task is looked for: what tasks have said by now is told first."""
        self.look: Callable[[], Awaitable[None]] = _nothing
        """Called where a task goes on as a new one, which asks again what it asked: no event of its own has said so."""
        self.left: Callable[[], None] = _nobody
        """Called where a message may have been kept and not been done with: nobody waits for it any more, but it
        counts."""

    # --- a message comes ---

    async def place(self, came: Incoming, person: str = OWNER, namespace: str = "default") -> Placed:
        """Keep a message and do what it says. Raises NotFound where there is nobody for it, and what the work itself
        raises."""
        thread = Thread(namespace, person, came.conversation)
        line = _line(thread, came, self._ways.agent)
        placed: Placed | None = None
        with self._locks.come(thread) as busy:
            try:
                if busy:
                    # Whoever comes after others is kept at once, in its place.
                    await self._locks.after(thread)
                    line = await self._waiting(line)
                self._coming.add((thread, line.id))
                async with self._locks.of(thread):
                    self._coming.discard((thread, line.id))
                    placed = await self._take(thread, line)
                    return placed
            finally:
                self._coming.discard((thread, line.id))
                if placed is None:
                    self.left()

    async def _take(self, thread: Thread, line: Line) -> Placed:
        before = await self._before(thread, line)
        if before is not None and before.state in ("filed", "asked"):
            return await self._as_before(thread, before)
        line = before or line  # where it was kept already, what is decided now is kept with it
        unsettled = await self._kept.unsettled(thread)
        asked = next((each for each in unsettled if each.state == "asked"), None)
        behind = {line.id, *(id for of, id in self._coming if of == thread)}
        if any(asked is None or _goes_first(each) for each in unsettled if each.id not in behind):
            # What was cut off comes first, and who waits for their turn has it afterwards.
            line = await self._waiting(line)
            await self._catch_up(thread, behind)
            asked = await self._asked(thread)
        if line.kind != "message":
            return await self._mend_now(thread, line)
        placed = await self._route(thread, line, asked, heard=True)
        if placed.decision is not None and placed.decision.meaning == "choose":
            await self._catch_up(thread)
        return placed

    async def _before(self, thread: Thread, line: Line) -> Line | None:
        """A person's line as it was kept when it came for the first time."""
        found = await self._kept.named(thread, line.id)
        return found if found is not None and found.by == "person" else None

    async def _route(self, thread: Thread, line: Line, asked: Line | None, heard: bool) -> Placed:
        """Find the task of a line that is nobody's yet, and do what it says. `heard`: just now, from somebody who
        waits."""
        api = await self._api(thread)
        await self.fresh()
        referred = await self._kept.named(thread, line.reply_to) if line.reply_to else None
        gathered = await self._kept.gather(thread, scenes.wanted(line, referred))
        scene = scenes.scene(gathered, asked)
        said = scenes.spoken(line, referred)
        decision = line.decision if line.state == "decided" else decide(said, scene)
        if said.task and line.state != "decided" and all(topic.task != said.task for topic in scene.topics):
            decision = await _elsewhere(api, line, said)
        if asked is not None and (decision is None or decision.meaning not in (*AHEAD, "choose")):
            return await self._keep_behind(line, asked)
        if decision is None:
            # It is kept before a model is waited for.
            line = await self._waiting(line)
            decision = await self._ways.ask(said, scene, line) or _unsure(said, scene)
        if decision.meaning == "unsure":
            return await self._ask_which(thread, line, decision, scene)
        if decision.meaning == "choose":
            return await self._choose(thread, line, decision, asked)
        if decision.meaning == "move":
            return await self._moved(thread, line, decision)
        return await self._do(api, line, decision, scene, heard)

    async def _keep_behind(self, line: Line, asked: Line) -> Placed:
        kept = await self._waiting(line)
        text = f"First say which one “{wording.of(asked)}” is for; what you write after it is kept until then, in its order."
        return Placed(None, "kept", kept.place, None, await self._say(kept, Done("told", text=text)))

    # --- which one? ---

    async def _ask_which(self, thread: Thread, line: Line, decision: Decision, scene: Scene) -> Placed:
        candidates = decision.candidates[:GUESSED]
        decision = replace(decision, candidates=candidates)
        changed = await self._keep(replace(line, state="asked", decision=decision))
        told = await self._say_which(changed, decision, scene)
        return Placed(None, "asked", changed.place, decision, told)

    async def _say_which(self, line: Line, decision: Decision, scene: Scene) -> tuple[Line, ...]:
        titles = {topic.task: topic.title for topic in scene.topics}
        text, buttons = wording.which(line, decision.candidates, titles)
        return await self._say(line, Done("told", text=text, buttons=buttons), "which")

    async def _choose(self, thread: Thread, line: Line, decision: Decision, asked: Line | None) -> Placed:
        """A person said for which task an earlier message is; those behind it go on."""
        kept = await self._decided(line, decision)
        asked = await self._asked(thread, decision.line or (asked.place if asked is not None else 0))
        if asked is None:
            earlier = await self._kept.line(decision.line)
            told = () if _is_so(earlier, decision) else await self._say(kept, Done("told", text=SAID_ALREADY))
            await self._kept.change([replace(kept, state="filed")])
            return Placed(None, "told", kept.place, decision, told)
        row = await self._resolve(thread, asked, decision.task)
        await self._kept.change([replace(kept, state="filed")])
        return Placed(row, "told", kept.place, decision)

    async def _asked(self, thread: Thread, place: int = 0) -> Line | None:
        """The earliest line that the host asks about; with a `place`, the one there."""
        asked = [each for each in await self._kept.unsettled(thread) if each.state == "asked"]
        return next((each for each in asked if not place or each.place == place), None)

    async def _resolve(self, thread: Thread, asked: Line, task: str) -> TaskRow | None:
        candidates = asked.decision.candidates if asked.decision else ()
        scene, decision = await self._given(asked, task)
        decision = replace(decision, rule="person", candidates=candidates)
        placed = await self._do(await self._api(thread), asked, decision, scene, heard=False)
        return placed.task

    async def _given(self, line: Line, task: str) -> tuple[Scene, Decision]:
        """What a line is to the task that its person says it is for; a new one where that is empty."""
        wanted = scenes.wanted(replace(line, to=task, button=""))
        scene = scenes.scene(await self._kept.gather(thread_of(line), wanted), None)
        said = replace(scenes.spoken(line, None), button="")
        return scene, given(said, scene, task) if task else Decision("new")

    async def _catch_up(self, thread: Thread, but: Collection[str] = ()) -> None:
        """Go on with what waits in a conversation, in its order, as far as it goes; not with these, nor with what is
        behind them."""
        seen = {*but}
        while (line := _next(await self._kept.unsettled(thread), seen)) is not None:
            seen.add(line.id)
            if line.kind != "message":
                await self._mend(thread, line, heard=False)
            elif line.state != "asked":
                await self._route(thread, line, None, heard=False)
            elif line.decision is not None:
                # The host may have ended between the one and the other.
                gathered = await self._kept.gather(thread, scenes.wanted(line))
                await self._say_which(line, line.decision, scenes.scene(gathered, None))

    async def recover(self) -> None:
        """Go on with what was kept when the host ended."""
        for thread in await self._kept.behind():
            try:
                async with self._locks.of(thread):
                    await self._catch_up(thread)
            except AgentHostError as error:
                self._log.warning("messages wait", conversation=thread.conversation, problem=error.message)

    # --- an earlier message is changed, or taken back ---

    async def _mend_now(self, thread: Thread, line: Line) -> Placed:
        placed, anew = await self._mend(thread, line, heard=True)
        await self._catch_up(thread)
        found = await self._kept.line(anew) if anew else None
        if found is None:
            return placed
        now = await self._as_before(thread, found)
        return replace(now, line=placed.line, decision=now.decision or placed.decision)

    async def _mend(self, thread: Thread, line: Line, heard: bool) -> tuple[Placed, int]:
        """Do what an edit or a deletion says; and the place of the message whose task is to be looked for again, 0 for
        none."""
        again = line.state == "decided"
        line = await self._waiting(line)
        target = await self._mender.target(line)
        decision = mending.decision(line, target)
        line = await self._decided(line, decision)
        try:
            mended = await self._mender.mend(await self._api(thread), line, target, again)
        except Temporary:
            raise
        except AgentHostError as error:
            return await self._failed(line, decision, error, heard), 0
        await self.look()
        now, done = mended.target, mended.done
        if target is not None and target.state == "asked" and now is not None and now != target:
            # Its buttons are of no use any more.
            word = "was taken back" if now.deleted else "was changed"
            await self._say(target, Done("told", text=f"“{wording.of(target)}” {word}."), "settled")
        told = await self._say(line, done)
        task = done.task.id if done.task is not None and line.kind == "edit" else ""
        filed = replace(line, state="filed", became=done.id, task=task)
        words = scenes.words_of(line) if task else ()
        await self._kept.change([*([now] if now is not None else []), filed], words, done.settled)
        placed = Placed(done.task, done.became, line.place, decision, told)
        return placed, now.place if mended.anew and now is not None else 0

    # --- moved ---

    async def _moved(self, thread: Thread, line: Line, decision: Decision) -> Placed:
        try:
            meant = await self._meant(thread, line, decision.line)
            # Which one, and whose it was, is kept first: whoever is cut off knows then whether it was done.
            had = line.moved_from or meant.task
            kept = await self._decided(replace(line, moved_from=had), replace(decision, line=meant.place))
            again = meant.task != had
            moved = Moved(meant) if again else await self._move(meant, decision.task, line.name)
            text = f"Moved. {moved.left}".strip()
        except AgentHostError as error:
            if isinstance(error, Temporary):
                raise
            kept, moved, text = await self._decided(line, decision), None, error.message
        told = await self._say(kept, Done("told", text=text))
        await self._kept.change([replace(kept, state="filed")])
        task = moved.line.task if moved is not None else ""
        row = (await (await self._api(thread)).task(task)).row if task else None
        return Placed(row, "told", kept.place, decision, told)

    async def _meant(self, thread: Thread, line: Line, place: int) -> Line:
        if place:
            return await self.line(place, thread.person, thread.namespace)
        wanted = LineFilter(
            0, thread.conversation, by="person", person=thread.person, namespace=thread.namespace, newest=True, limit=20
        )
        for each in reversed(await self._kept.lines(wanted)):
            if each.task and each.became and each.place != line.place:
                return each
        raise NotFound("there is no message of yours that a task has; reply to the one that you mean")

    async def move(self, place: int, to: str, name: str = "", person: str = OWNER, namespace: str = "default") -> Moved:
        """Have a message be another task's."""
        line = await self.line(place, person, namespace)
        async with self._locks.of(thread_of(line)):
            return await self._move(await self.line(place, person, namespace), to, name)

    async def _move(self, line: Line, to: str, name: str) -> Moved:
        if line.kind == "edit" and line.decision is not None:
            # What corrects a message goes where that goes.
            line = await self.line(line.decision.line, line.person, line.namespace)
        if line.by != "person" or line.state != "filed" or line.deleted:
            raise Conflict("only what a person wrote, and what has found a task, can be moved")
        if to and to == line.task:
            raise Conflict("it is that task's already")
        thread = thread_of(line)
        api = await self._api(thread)
        if to:
            await api.task(to)
        left = await self._mover.take_back(api, line) if line.task else ""
        await self.look()
        moved = replace(line, moved_from=line.task, task="", became="", button="", name=name or line.name)
        scene, decision = await self._given(moved, to)
        decision = replace(decision, rule="moved")
        await self._do(api, moved, decision, scene, heard=True)
        return Moved(await self.line(line.place, thread.person, thread.namespace), left)


async def _elsewhere(api: HostApi, line: Line, said: Spoken) -> Decision:
    """What a message is to a task of the person's that is none of this conversation's. Raises NotFound."""
    detail = await api.task(said.task)
    answers = said.question or (detail.questions and line.text and not line.files)
    return Decision("answer" if answers else "steer", detail.row.root or detail.row.id, said.question, "explicit")


async def _nothing() -> None:
    """Nobody tells what tasks say."""


def _nobody() -> None:
    """Nobody goes on with messages that were left."""


def _is_so(line: Line | None, decision: Decision) -> bool:
    """Whether a person's choice stands with the line that it is about: whoever was cut off afterwards comes again."""
    found = line.decision if line is not None and not line.deleted else None
    return found is not None and found.rule == "person" and found.task == decision.task


def _goes_first(line: Line) -> bool:
    """What was decided is done, and what changes an earlier message changes it, whatever question they wait behind."""
    return line.state == "decided" or line.kind != "message"


def _next(unsettled: Sequence[Line], seen: Collection[str]) -> Line | None:
    """What is to be gone on with; None where it has to wait."""
    asked = next((line for line in unsettled if line.state == "asked"), None)
    ahead = (line for line in unsettled if asked is not None and _goes_first(line) and line.id not in seen)
    found = next(ahead, asked or next(iter(unsettled), None))
    return found if found is not None and found.id not in seen else None


def _line(thread: Thread, came: Incoming, agent: str) -> Line:
    if came.deleted and not came.edits:
        raise Unusable("what was taken back must be named: give its id as `edits`")
    if not (came.text or came.files or came.button or came.edits or came.forwarded):
        raise Unusable("a message needs a text, a file or a button that was pressed")
    kind = "delete" if came.deleted else "edit" if came.edits else "message"
    id = came.key or secrets.token_hex(12)
    line = Line(thread.conversation, id, "person", kind, time.time(), came.text, came.files, reply_to=came.reply_to)
    return replace(
        line,
        quote=came.quote,
        to=came.question if "/" in came.question else f"{came.task}/{came.question}" if came.question else came.task,
        button=came.button,
        name=came.name or agent,
        account=came.account,
        channel=came.channel,
        edits=came.edits,
        forwarded=came.forwarded,
        namespace=thread.namespace,
        person=thread.person,
    )


def _unsure(said: Spoken, scene: Scene) -> Decision:
    return Decision("unsure", rule="unsure", confidence=0.0, candidates=rank(said, scene.topics)[:GUESSED])
