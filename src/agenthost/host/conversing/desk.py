"""The use-cases of conversations: a message is kept, finds its task, and is done what it says; in the order in which they came.

A line is on disk, with what was decided, before anything is done with it; what is done has an id that follows from the line's. So
whatever is cut off is done again at the next start, and comes to the same.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import OWNER
from agenthost.core.api import HostApi, Incoming, Placed
from agenthost.core.conversations import (
    ConversationInfo,
    Conversations,
    Line,
    LineFilter,
    Moved,
    Thread,
    Wanted,
    thread_of,
)
from agenthost.core.errors import AgentHostError, Conflict, NotFound, Temporary, Unusable
from agenthost.core.routing import Decision, Scene, Spoken, Topic
from agenthost.core.tasks import TaskRow
from agenthost.engine.parts import Log
from agenthost.host.conversing import doing, scenes, wording
from agenthost.host.conversing.doing import Done
from agenthost.host.conversing.locks import Locks
from agenthost.host.conversing.moving import Mover
from agenthost.programs.routing import decide, rank

LOOK = 30.0
"""Seconds after which lines are looked for without a call: another process may have written some."""

GUESSED = 4
"""The most tasks that the host offers where it must ask."""

AHEAD = ("list", "cancel", "progress", "pause", "resume", "move", "chat")
"""What is heard while an earlier message waits for its task: it is for no task's work."""

Ask = Callable[[Spoken, Scene, Thread], Awaitable[Decision | None]]
"""One question to a small model; None where there is none to be asked."""


class Ways(Struct, frozen=True):
    """How the desk reaches the rest of the host: `of` gives the host as a person may use it (None: they may not any more), `ask` a small model,
    `agent` takes what is new where none is named."""

    of: Callable[[str, str], Awaitable[HostApi | None]]
    ask: Ask
    agent: str = ""


class Desk:
    """The port `core.conversations.Conversing`, for everybody: a caller's person and namespace come with each call."""

    def __init__(self, kept: Conversations, ways: Ways, mover: Mover, log: Log) -> None:
        self._kept = kept
        self._ways = ways
        self._mover = mover
        self._log = log
        self._locks = Locks()
        self._listening: set[asyncio.Event] = set()
        self.fresh: Callable[[], Awaitable[None]] = _nothing
        """Called before a task is looked for: what tasks have said by now is told first."""
        self.left: Callable[[], None] = _nobody
        """Called where a message may have been kept and not been done with: nobody waits for it any more, but it counts."""

    # --- a message comes ---

    async def place(self, came: Incoming, person: str = OWNER, namespace: str = "default") -> Placed:
        """Keep a message and do what it says. Raises NotFound where there is nobody for it, and what the work itself raises."""
        thread = Thread(namespace, person, came.conversation)
        line = _line(thread, came, self._ways.agent)
        if self._locks.busy(thread):
            # Whoever comes after others is kept at once, in its place.
            (line,) = await self._kept.add([replace(line, state="waiting")])
        placed: Placed | None = None
        try:
            async with self._locks.of(thread):
                placed = await self._take(thread, line, came)
                return placed
        finally:
            if placed is None:
                self.left()

    async def _take(self, thread: Thread, line: Line, came: Incoming) -> Placed:
        before = await self._kept.named(thread, line.id)
        if before is not None and before.by == "person" and before.state in ("filed", "asked"):
            return await self._as_before(thread, before)
        if before is not None and before.by == "person":
            line = before  # it was kept already, and what is decided now is kept with it
        waiting = await self._kept.unsettled(thread)
        asked = next((each for each in waiting if each.state == "asked"), None)
        if asked is None and [each for each in waiting if each.id != line.id]:
            # What was cut off comes first.
            await self._catch_up(thread, but=line.id)
            asked = await self._asked(thread)
        return await self._route(thread, line, asked, came)

    async def _route(self, thread: Thread, line: Line, asked: Line | None, came: Incoming | None) -> Placed:
        """Find the task of a line that is nobody's yet, and do what it says. `came`: it is heard just now, from somebody who waits."""
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
            decision = await self._ways.ask(said, scene, thread) or _unsure(said, scene)
        if decision.meaning == "unsure":
            return await self._ask_which(thread, line, decision, scene)
        if decision.meaning == "choose":
            return await self._choose(thread, line, decision, asked)
        if decision.meaning == "move":
            return await self._moved(thread, line, decision)
        return await self._do(api, line, decision, scene, came is not None)

    async def _do(self, api: HostApi, line: Line, decision: Decision, scene: Scene, heard: bool) -> Placed:
        if pressed := scenes.option_of(line, scene.topics):
            line = replace(line, text=pressed)
        line = await self._decided(line, decision)
        try:
            done = await doing.do(api, self._kept, line, decision, scene)
        except Temporary:
            raise
        except AgentHostError as error:
            await self._kept.change([replace(line, state="filed", task="")])
            if heard:
                raise
            told = await self._say(line, Done("told", text=error.message))
            return Placed(None, "told", line.place, decision, told)
        if done.task is not None and done.task.id != line.task:
            line = replace(line, task=done.task.id)
        about_work = done.became in ("order", "message")
        words = scenes.words_of(line, done.task.title if done.task is not None else "") if about_work else ()
        line = replace(line, state="filed", became=done.id)
        await self._kept.change([line], words, done.settled)
        told = await self._say(line, done)
        return Placed(done.task, done.became, line.place, decision, told)

    async def _waiting(self, line: Line) -> Line:
        if line.place:
            return line
        (kept,) = await self._kept.add([replace(line, state="waiting")])
        return kept

    async def _decided(self, line: Line, decision: Decision) -> Line:
        """Keep what was decided, before it is done. A task that is to begin has its id already: what it says is told here from its first word."""
        about = decision.meaning not in ("choose", "move")
        task = decision.task if about else ""
        changed = replace(line, state="decided", decision=decision, task=task, question=decision.question)
        if line.place:
            await self._kept.change([changed])
            return changed
        (kept,) = await self._kept.add([changed])
        return kept

    async def _as_before(self, thread: Thread, line: Line) -> Placed:
        """What became of a message that comes again."""
        if line.state == "asked":
            told = await self._kept.lines(
                LineFilter(line.place, thread.conversation, by="host", person=thread.person, namespace=thread.namespace)
            )
            return Placed(
                None, "asked", line.place, line.decision, tuple(each for each in told if each.reply_to == line.id)
            )
        api = await self._api(thread)
        meaning = line.decision.meaning if line.decision is not None else "chat"
        became = (
            "order"
            if meaning in ("new", "again")
            else "answer"
            if meaning == "answer"
            else "message"
            if meaning == "steer"
            else "told"
        )
        return Placed((await api.task(line.task)).row if line.task else None, became, line.place, line.decision)

    async def _keep_behind(self, line: Line, asked: Line) -> Placed:
        kept = await self._waiting(line)
        shown = wording.title(asked.text) or "your earlier message"
        text = f"First say which one “{shown}” is for; what you write after it is kept until then, in its order."
        return Placed(None, "kept", kept.place, None, await self._say(kept, Done("told", text=text)))

    # --- which one? ---

    async def _ask_which(self, thread: Thread, line: Line, decision: Decision, scene: Scene) -> Placed:
        candidates = decision.candidates[:GUESSED]
        decision = replace(decision, candidates=candidates)
        changed = replace(line, state="asked", decision=decision)
        if line.place:
            await self._kept.change([changed])
        else:
            (changed,) = await self._kept.add([changed])
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
            await self._kept.change([replace(kept, state="filed")])
            told = await self._say(kept, Done("told", text="That was said already. To change it: /move"))
            return Placed(None, "told", kept.place, decision, told)
        row = await self._resolve(thread, asked, decision.task)
        await self._kept.change([replace(kept, state="filed")])
        await self._catch_up(thread)
        return Placed(row, "told", kept.place, decision)

    async def _asked(self, thread: Thread, place: int = 0) -> Line | None:
        """The earliest line that the host asks about; with a `place`, the one there."""
        asked = [each for each in await self._kept.unsettled(thread) if each.state == "asked"]
        return next((each for each in asked if not place or each.place == place), None)

    async def _resolve(self, thread: Thread, asked: Line, task: str) -> TaskRow | None:
        api = await self._api(thread)
        scene = scenes.scene(await self._kept.gather(thread, scenes.wanted(asked)), None)
        said = replace(scenes.spoken(replace(asked, to=task), None), button="")
        found = decide(said, scene) if task else None
        meaning = found.meaning if found is not None and found.meaning in ("answer", "steer", "again") else "steer"
        question = found.question if found is not None and meaning == "answer" else ""
        decision = Decision(
            meaning if task else "new",
            task,
            question,
            "person",
            1.0,
            asked.decision.candidates if asked.decision else (),
        )
        placed = await self._do(api, asked, decision, scene, heard=False)
        return placed.task

    async def _catch_up(self, thread: Thread, but: str = "") -> None:
        """Go on with what waits in a conversation, in its order, as far as it goes."""
        for line in await self._kept.unsettled(thread):
            if line.state == "asked" and line.decision is not None:
                # The host may have ended between the one and the other.
                await self._say_which(
                    line, line.decision, scenes.scene(await self._kept.gather(thread, scenes.wanted(line)), None)
                )
            if line.id == but or line.state == "asked":
                return
            placed = await self._route(thread, line, None, None)
            if placed.became == "asked":
                return

    async def recover(self) -> None:
        """Go on with what was kept when the host ended."""
        for thread in await self._kept.behind():
            try:
                async with self._locks.of(thread):
                    await self._catch_up(thread)
            except AgentHostError as error:
                self._log.warning("messages wait", conversation=thread.conversation, problem=error.message)

    # --- moved ---

    async def _moved(self, thread: Thread, line: Line, decision: Decision) -> Placed:
        kept = await self._decided(line, decision)
        try:
            meant = await self._meant(thread, kept, decision.line)
            moved = await self._move(meant, decision.task, line.name)
            text = f"Moved. {moved.left}".strip()
        except AgentHostError as error:
            if isinstance(error, Temporary):
                raise
            moved, text = None, error.message
        await self._kept.change([replace(kept, state="filed")])
        told = await self._say(kept, Done("told", text=text))
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
        if line.by != "person" or line.state != "filed":
            raise Conflict("only what a person wrote, and what has found a task, can be moved")
        if to and to == line.task:
            raise Conflict("it is that task's already")
        thread = thread_of(line)
        api = await self._api(thread)
        if to:
            await api.task(to)
        left = await self._mover.take_back(api, line) if line.task else ""
        moved = replace(line, moved_from=line.task, task="", became="", button="", name=name or line.name)
        scene = scenes.scene(await self._kept.gather(thread, scenes.wanted(moved)), None)
        found = decide(replace(scenes.spoken(replace(moved, to=to), None), button=""), scene) if to else None
        kind = found.meaning if found is not None and found.meaning in ("answer", "steer", "again") else "steer"
        question = found.question if found is not None and kind == "answer" else ""
        decision = Decision(kind if to else "new", to, question, "moved")
        await self._do(api, moved, decision, scene, heard=True)
        return Moved(await self.line(line.place, thread.person, thread.namespace), left)

    # --- what was said ---

    async def _say(self, line: Line, done: Done, kind: str = "told") -> tuple[Line, ...]:
        """The host's own words to a line, once."""
        if not done.text:
            return ()
        kind_of = "which" if kind == "which" else "told"
        task = done.task.id if done.task is not None else ""
        said = Line(
            line.conversation,
            f"{line.id}:{kind}",
            "host",
            kind_of,
            time.time(),
            done.text,
            buttons=done.buttons,
            reply_to=line.id,
        )
        said = replace(said, task=task, channel=line.channel, namespace=line.namespace, person=line.person)
        kept = tuple(await self._kept.add([said]))
        self.told()
        return kept

    def told(self) -> None:
        """Something was said: whoever listens looks."""
        for event in self._listening:
            event.set()

    async def lines(self, wanted: LineFilter) -> list[Line]:
        """Lines of a person's conversations."""
        return await self._kept.lines(wanted)

    async def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        """Lines after a place, for ever."""
        event = asyncio.Event()
        self._listening.add(event)
        try:
            while True:
                event.clear()
                found = await self._kept.lines(wanted)
                for line in found:
                    yield line
                    wanted = replace(wanted, after=line.place)
                if len(found) < wanted.limit:
                    try:
                        async with asyncio.timeout(LOOK):
                            await event.wait()
                    except TimeoutError:
                        pass
        finally:
            self._listening.discard(event)

    async def line(self, place: int, person: str = OWNER, namespace: str = "default") -> Line:
        """One line. Raises NotFound where it isn't theirs."""
        line = await self._kept.line(place)
        if line is None or (line.namespace, line.person) != (namespace, person):
            raise NotFound(f"there is no line {place} in your conversations")
        return line

    async def sent(self, place: int, ids: Sequence[str], person: str = OWNER, namespace: str = "default") -> None:
        """The channel has shown a line."""
        await self.line(place, person, namespace)
        await self._kept.shown(place, ids)

    async def topics(
        self, conversation: str, all: bool = False, person: str = OWNER, namespace: str = "default"
    ) -> list[Topic]:
        """The tasks of a conversation."""
        wanted = Wanted(open=50, ended=50 if all else 0, found=0)
        return list(scenes.scene(await self._kept.gather(Thread(namespace, person, conversation), wanted), None).topics)

    async def conversations(
        self, limit: int = 50, person: str = OWNER, namespace: str = "default"
    ) -> list[ConversationInfo]:
        """A person's conversations."""
        return await self._kept.conversations(namespace, person, limit)

    async def _api(self, thread: Thread) -> HostApi:
        api = await self._ways.of(thread.person, thread.namespace)
        if api is None:
            raise NotFound(f"'{thread.person}' may not use this host any more")
        return api


async def _elsewhere(api: HostApi, line: Line, said: Spoken) -> Decision:
    """What a message is to a task of the person's that is none of this conversation's. Raises NotFound."""
    detail = await api.task(said.task)
    answers = said.question or (detail.questions and line.text and not line.files)
    return Decision("answer" if answers else "steer", detail.row.root or detail.row.id, said.question, "explicit")


async def _nothing() -> None:
    """Nobody tells what tasks say."""


def _nobody() -> None:
    """Nobody goes on with messages that were left."""


def _line(thread: Thread, came: Incoming, agent: str) -> Line:
    if not (came.text or came.files or came.button or came.edits):
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
        namespace=thread.namespace,
        person=thread.person,
    )


def _unsure(said: Spoken, scene: Scene) -> Decision:
    return Decision("unsure", rule="unsure", confidence=0.0, candidates=rank(said, scene.topics)[:GUESSED])
