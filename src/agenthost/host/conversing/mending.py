"""An earlier message gets other words, or is taken back: what it caused is brought in line with that, as far as that
can be.

Docs/conversations.md has the table of what becomes of what. Doing it again changes nothing.
"""

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.api import HostApi
from agenthost.core.conversations import Conversations, Line, thread_of
from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Decision, Meaning
from agenthost.core.tasks import TaskRow
from agenthost.host.conversing import doing, scenes, wording
from agenthost.host.conversing.doing import Done
from agenthost.host.conversing.moving import BACK, Mover
from agenthost.programs.routing.text import plain

ORDERS: tuple[Meaning, ...] = ("list", "progress", "cancel", "pause", "resume", "move", "choose")
"""What the host itself did when it was said: other words afterwards change nothing of it."""

TAKEN_BACK = "That message was taken back. Write it again, where it is to count."

CHAIN = 20
"""Edits of edits that are followed to the message."""


class Mended(Struct, frozen=True):
    """The earlier message as it is from now on (None: there is none), and what came of it. `anew`: its task is to be
    looked for again."""

    target: Line | None
    done: Done
    anew: bool = False


class Mender:
    """`mover` takes back what a message caused."""

    def __init__(self, kept: Conversations, mover: Mover) -> None:
        self._kept = kept
        self._mover = mover

    async def target(self, line: Line) -> Line | None:
        """The message that an edit or a deletion is about; None where it was never heard. One that was never heard is
        heard as what it is now, under its own id, so that the next edit finds it."""
        id = line.edits
        for _ in range(CHAIN):
            found = await self._kept.named(thread_of(line), id)
            if found is None or found.by != "person" or found.kind == "message" or found.id == line.id:
                break
            id = found.edits
        else:
            return None
        if found is not None and found.id != line.id:
            return found
        if line.kind == "delete":
            return None
        heard = replace(line, id=id, kind="message", edits="", state="waiting", place=0, decision=None, task="")
        (kept,) = await self._kept.add([heard])
        return kept

    async def mend(self, api: HostApi, line: Line, target: Line | None, again: bool) -> Mended:
        """Do what an edit or a deletion says about its message; `again`: it was begun, and perhaps done, before the
        host was cut off. Raises what the host's use-cases raise, and then nothing was done."""
        if target is None:
            return Mended(None, Done("told"))
        if why_not := _not_theirs(line, target):
            return Mended(None, Done("told", text=why_not))
        if target.deleted:
            return Mended(None, Done("told", text="" if line.kind == "delete" else TAKEN_BACK))
        if line.kind == "delete":
            return await self._take_back(api, line, target, again)
        return await self._reword(api, line, target)

    async def _reword(self, api: HostApi, line: Line, target: Line) -> Mended:
        new = replace(target, text=line.text, forwarded=line.forwarded, files=line.files or target.files)
        if _same(target, new):
            return Mended(target, Done("told"), anew=target.state == "waiting")
        new = replace(new, before=(*target.before, target.text or scenes.quoted(target.forwarded)))
        if target.state in ("waiting", "asked") or not _at_work(target):
            if target.state == "filed" and target.decision is not None and target.decision.meaning in ORDERS:
                return Mended(new, Done("told"))
            return Mended(replace(new, state="waiting", decision=None, task="", question=""), Done("told"), anew=True)
        row = (await api.task(target.task)).row
        if row.state in FINAL and _alike(target, new):
            return Mended(new, Done("told", row))
        # What it said is the host's to say here: the words are no chat command any more.
        said = scenes.said_by(replace(new, forwarded=""))
        told = replace(
            line, text=wording.corrected(target, said), files=() if line.files == target.files else line.files
        )
        done = await doing.say(api, told, target.task)
        if done.became == "order":
            # From now on it is what began the further work: other words go there, and taking it back ends that.
            new = replace(new, task=done.id, became=done.id)
        return Mended(new, done)

    async def _take_back(self, api: HostApi, line: Line, target: Line, again: bool) -> Mended:
        gone = replace(target, deleted=True, became="")
        if target.state in ("waiting", "asked"):
            return Mended(replace(gone, state="filed", task="", question=""), Done("told"))
        if not _at_work(target):
            return Mended(gone, Done("told"))
        row = (await api.task(target.task)).row
        if row.state in FINAL and not (again and row.state == "canceled"):
            return Mended(gone, Done("told", row, text=_ended(row)))
        if target.became == row.id:
            left = await self._mover.take_back(api, target, BACK)
            return Mended(gone, Done("told", row, text=left, settled=("*",)))
        if "/" in target.became and await self._mover.since(target) == []:
            # The question is open again.
            left = await self._mover.take_back(api, target, BACK)
            return Mended(gone, Done("told", row, text=left))
        told = replace(line, text=wording.withdrawn(target), forwarded="", files=())
        return Mended(gone, replace(await doing.say(api, told, target.task), became="told", id=""))


def decision(line: Line, target: Line | None) -> Decision:
    """What is decided about an edit or a deletion, whose rule is its name."""
    rule = "delete" if line.kind == "delete" else "edit"
    return Decision("edit", target.task if target else "", rule=rule, line=target.place if target else 0)


def _at_work(target: Line) -> bool:
    """Whether a task has the message as a part of its work."""
    return bool(target.task and target.became)


def _not_theirs(line: Line, target: Line) -> str:
    back = "taken back" if line.kind == "delete" else "changed"
    if target.by != "person":
        return f"Only what you wrote yourself can be {back}; reply to that."
    if line.account and target.account and line.account != target.account:
        return f"A message can be {back} only by who wrote it."
    return ""


def _ended(row: TaskRow) -> str:
    return f"“{wording.title(row.title)}” has ended already ({wording.state_of(row)}): what came of it stays."


def _same(target: Line, new: Line) -> bool:
    """Whether nothing was changed but blanks."""
    words = target.text.split() == new.text.split() and target.forwarded.split() == new.forwarded.split()
    return words and target.files == new.files


def _alike(target: Line, new: Line) -> bool:
    """Whether the words are the same: but for cases, accents, punctuation."""
    words = plain(target.text) == plain(new.text) and plain(target.forwarded) == plain(new.forwarded)
    return words and target.files == new.files
