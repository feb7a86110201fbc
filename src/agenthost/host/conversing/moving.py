"""Takes back what a message caused in the task that it wasn't meant for, as far as that can be."""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from agenthost.core.api import HostApi
from agenthost.core.commands import CallTool, RunCommand, StartChild
from agenthost.core.conversations import Conversations, Line, LineFilter
from agenthost.core.errors import Conflict
from agenthost.core.events import Answered, Asked, Received, Recorded, Started
from agenthost.core.ids import child_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import Message, Part, TextPart
from agenthost.core.tasks import TaskRow
from agenthost.host.conversing import scenes, wording
from agenthost.host.conversing.doing import beside_id

NAMED = 5
"""The most effects that are named; the others are counted."""

MEANT = "meant for another task"
BACK = "taken back"
"""Why a message isn't a task's any more, as it is told."""

Fork = Callable[[HostApi, Line, int], Awaitable[TaskRow]]
"""Have the task of a line go on from an event of its journal as a new one, as if nothing after it had been; once for
each line."""


class Mover:
    """`fork` makes a task go on from before the message."""

    def __init__(self, kept: Conversations, journal: Callable[[str], Awaitable[list[Recorded]]], fork: Fork) -> None:
        self._kept = kept
        self._journal = journal
        self._fork = fork

    async def since(self, line: Line) -> list[str] | None:
        """What its task has done since it heard a line that can't be undone; None where it hasn't heard it, or another
        has for it."""
        at = _heard(await self._journal(line.task), line)
        return None if at is None else await self._effects(line.task, at)

    async def take_back(self, api: HostApi, line: Line, why: str = MEANT) -> str:
        """The task that a line was filed for is from now on as if it had never come: one that it began is cancelled,
        any other goes on from before it. In words, what can't be undone; empty where nothing was done."""
        row = (await api.task(line.task)).row
        if line.became == row.id:
            left = await self._effects(row.id, 0)
            await _cancel(api, row, f"its message was {why}")
            return _words(left)
        events = await self._journal(row.id)
        at = _heard(events, line)
        if at is None:
            return ""
        left = await self._effects(row.id, at)
        going = await self._fork(api, line, at - 1)
        await self._follow(api, line, row.id, going.id)
        await _cancel(api, row, f"a message was {why}; this one goes on as {going.id}")
        return f"“{wording.title(row.title)}” goes on from before it. {_words(left)}".strip()

    async def _follow(self, api: HostApi, line: Line, old: str, new: str) -> None:
        """What was said for the task goes with it, and what came after the message is said again."""
        wanted = LineFilter(task=old, person=line.person, namespace=line.namespace, limit=1000)
        # What corrected the message is nothing without it.
        mine = [each for each in await self._kept.lines(wanted) if each.place != line.place]
        lines = [each for each in mine if each.edits != line.id]
        for each in lines:
            if each.by == "person" and each.place > line.place and each.became and each.became != old:
                said = scenes.said_by(each)
                said = wording.corrected(replace(each, text=""), said) if each.kind == "edit" else said
                parts: tuple[Part, ...] = (*((TextPart(said),) if said else ()), *each.files)
                await api.say(new, Message("person", parts, again_id(each)))
        # The last of all: whoever is cut off before does it again.
        await self._kept.change([_renamed(each, line.place, old, new) for each in lines])

    async def _effects(self, task: str, after: int) -> list[str]:
        """What a task and those that it began after an event did that isn't undone by going back."""
        found: list[str] = []
        events = await self._journal(task)
        asked = {each.event.command.id: each.event.command for each in events if isinstance(each.event, Asked)}
        for recorded in events:
            event = recorded.event
            if recorded.seq <= after:
                continue
            if isinstance(event, Started):
                command = asked.get(event.command)
                if isinstance(command, CallTool):
                    found.append(f"the tool '{command.tool}' was called")
                elif isinstance(command, RunCommand):
                    found.append(f"a command with network was run: {wording.title(command.command)}")
            elif isinstance(event, Asked) and isinstance(event.command, StartChild):
                found += await self._effects(child_id(task, event.command.id), 0)
        return found


def again_id(line: Line) -> str:
    """The id of the message that a line is to the task that goes on from before it."""
    return f"again:{line.place}"


def _renamed(line: Line, moved: int, old: str, new: str) -> Line:
    question, became = _of(line.question, old, new), _of(line.became, old, new)
    if line.by == "person" and line.place > moved and became not in ("", new):
        became = again_id(line)
    # What the new one asks is told when it asks it.
    return replace(line, task=new, question=question, became=became, state="filed")


def _of(name: str, old: str, new: str) -> str:
    """The name of a task, or of a question of it or of one below it, in the task that goes on."""
    return new + name[len(old) :] if name == old or name.startswith((f"{old}/", f"{old}.")) else name


def _heard(events: list[Recorded], line: Line) -> int | None:
    """Where a journal has what a line became; None where it isn't there (yet)."""
    command, ids = line.became.partition("/")[2], (line.became, beside_id(line))
    for recorded in events:
        event = recorded.event
        if isinstance(event, Received) and event.message.id in ids:
            return recorded.seq
        if command and isinstance(event, Answered) and f"{recorded.task}/{event.command}" == line.became:
            return recorded.seq
    return None


async def _cancel(api: HostApi, row: TaskRow, reason: str) -> None:
    if row.state not in FINAL:
        try:
            await api.cancel(row.id, reason=reason)
        except Conflict:
            return


def _words(effects: list[str]) -> str:
    if not effects:
        return ""
    named = "; ".join(effects[:NAMED])
    more = f"; and {len(effects) - NAMED} more" if len(effects) > NAMED else ""
    return f"This can't be undone: {named}{more}."
