"""A line is kept with what was decided, before anything is done with it; it is done; and what came of it is kept.

What is done has an id that follows from the line's. So whatever is cut off is done again at the next start, and comes
to the same.
"""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from agenthost.core.api import HostApi, Placed
from agenthost.core.conversations import Conversations, Line, LineFilter, Thread, thread_of
from agenthost.core.errors import AgentHostError, NotFound, Temporary, Unusable
from agenthost.core.routing import Decision, Scene
from agenthost.host.conversing import doing, scenes
from agenthost.host.conversing.doing import Became, Done
from agenthost.host.conversing.listening import Listening, which_of
from agenthost.host.conversing.locks import Locks

Of = Callable[[str, str], Awaitable[HostApi | None]]
"""The host as a person of a namespace may use it; None where they may not any more."""


class Filing(Listening):
    """The part of the desk that does with a line what was decided."""

    def __init__(self, kept: Conversations, of: Of) -> None:
        super().__init__(kept)
        self._of = of
        self._locks = Locks()

    async def _api(self, thread: Thread) -> HostApi:
        api = await self._of(thread.person, thread.namespace)
        if api is None:
            raise NotFound(f"'{thread.person}' may not use this host any more")
        return api

    async def _do(self, api: HostApi, line: Line, decision: Decision, scene: Scene, heard: bool) -> Placed:
        if pressed := scenes.option_of(line, scene.topics):
            line = replace(line, text=pressed)
        again = line.state == "decided"
        line = await self._decided(line, decision)
        try:
            done = await doing.do(api, line, decision, scene, again)
        except Temporary:
            raise
        except AgentHostError as error:
            return await self._failed(line, decision, error, heard)
        if done.task is not None and done.task.id != line.task:
            line = replace(line, task=done.task.id)
        about_work = done.became in ("order", "message")
        words = scenes.words_of(line, done.task.title if done.task is not None else "") if about_work else ()
        # It is told before it is over: whoever is cut off in between does it again.
        told = await self._say(line, done)
        await self._kept.change([replace(line, state="filed", became=done.id)], words, done.settled)
        return Placed(done.task, done.became, line.place, decision, told)

    async def _failed(self, line: Line, decision: Decision, error: AgentHostError, heard: bool) -> Placed:
        """Nothing can be done about a line: whoever waits is told by the error, anybody else in the conversation."""
        told = () if heard else await self._say(line, Done("told", text=error.message))
        await self._kept.change([replace(line, state="filed", task="")])
        if heard:
            raise error
        return Placed(None, "told", line.place, decision, told)

    async def _waiting(self, line: Line) -> Line:
        if line.place:
            return line
        (kept,) = await self._kept.add([replace(line, state="waiting")])
        self._locks.kept(thread_of(line))
        return _own(kept)

    async def _keep(self, line: Line) -> Line:
        """Keep a line as it is now, with its place."""
        if not line.place:
            (kept,) = await self._kept.add([line])
            self._locks.kept(thread_of(line))
            line = replace(line, place=_own(kept).place)
            if kept == line:
                return line
            # It came a second time meanwhile, and whoever brought it has kept it.
        await self._kept.change([line])
        return line

    async def _decided(self, line: Line, decision: Decision) -> Line:
        """Keep what was decided, before it is done. A task that is to begin has its id already: what it says is told
        here from its first word."""
        task = decision.task if decision.meaning not in ("choose", "move", "edit") else ""
        return await self._keep(
            replace(line, state="decided", decision=decision, task=task, question=decision.question)
        )

    async def _as_before(self, thread: Thread, line: Line) -> Placed:
        """What became of a message that comes again."""
        if line.state == "asked":
            wanted = LineFilter(line.place, thread.conversation, by="host", person=thread.person)
            told = await self._kept.lines(replace(wanted, namespace=thread.namespace))
            asks = tuple(each for each in told if each.kind == "which" and each.question == which_of(line))
            return Placed(None, "asked", line.place, line.decision, asks)
        if line.state == "waiting":
            return Placed(None, "kept", line.place)
        api = await self._api(thread)
        return Placed((await api.task(line.task)).row if line.task else None, _became(line), line.place, line.decision)


def _became(line: Line) -> Became:
    if not line.became:
        return "told"
    if line.became == line.task:
        return "order"
    return "answer" if "/" in line.became else "message"


def _own(kept: Line) -> Line:
    """A person's line as it is kept. Raises Unusable where its id is that of a line of the host's."""
    if kept.by != "person":
        raise Unusable(f"the key '{kept.id}' is that of a line of the host's own; give the message another one")
    return kept
