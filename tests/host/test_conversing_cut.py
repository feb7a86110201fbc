"""A host that is cut off at any step of what a message does comes to the same at its next start, and says what is to be said once."""

import asyncio
import functools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.events import Answered, Created, Received, Reply
from agenthost.core.parts import text_of
from agenthost.core.ports import Filter
from agenthost.host.host import Host
from host.conftest import ASKER, ECHO, Opens
from host.test_conversing import REPLIES, RULES

STEPS = ("start", "say", "reply", "cancel", "pause", "fork")
"""What the host does for a message, beside keeping lines."""

MOST = 60
"""Points of one deed at which it is cut off."""


class Cut(BaseException):
    """The host ends here."""


class Cutting:
    """Cuts the host off at the step that is set, counted from 1: before an odd one, after an even one."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        monkeypatch.setattr(host.conversing, "left", lambda: None)  # who is dead goes on with nothing
        kept: Any = host._adapters.conversations  # pyright: ignore[reportPrivateUsage]
        for name in ("add", "change"):
            monkeypatch.setattr(kept, name, self._cut(getattr(kept, name)))
        for name in STEPS:
            monkeypatch.setattr(host, name, self._cut(getattr(host, name)))

    def _cut(self, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(step)
        async def cut(*values: Any, **named: Any) -> Any:
            self._count()
            found = await step(*values, **named)
            self._count()
            return found

        return cut

    def _count(self) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise Cut


class Chat:
    """One conversation, with a task about a fence and one about a poem that both wait for an answer, and what is done there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deed: dict[str, Any] = {}

    async def place(self, host: Host, text: str, key: str, **more: Any) -> Placed:
        return await host.place(Incoming(text, conversation=self.name, key=key, channel="chat", name="asker", **more))

    async def lines(self, host: Host, by: str = "") -> list[Line]:
        found = await host.conversing.lines(LineFilter(conversation=self.name, limit=1000))
        return [line for line in found if by in ("", line.by)]

    async def ready(self, host: Host, given: str) -> None:
        for key, text in (("m1", "/new paint the fence"), ("m2", "/new write a poem about rivers")):
            await self.place(host, text, key)
        async with asyncio.timeout(20):
            while len(await self.lines(host, "host")) < 2:
                await asyncio.sleep(0.01)
        lines = await self.lines(host)
        fence, poem = (next(line.task for line in lines if line.id == id) for id in ("m1", "m2"))
        ask = next(line for line in lines if line.kind == "question" and line.task == fence)
        unsure = "make it a bit longer than that"
        if "asked" in given:
            which = (await self.place(host, unsure, "m3")).said[0]
            await self.place(host, "and not too short either", "m4")
            self.deed = {"button": which.buttons[0].data}
        elif "said" in given:
            await self.place(host, f"/task {fence} use much paint", "m3")
        self.tasks = {"FENCE": fence, "POEM": poem, "BUTTON": ask.buttons[0].data}

    async def do(self, host: Host, deed: dict[str, Any]) -> None:
        words = {key: self.tasks.get(value, value) for key, value in (self.deed | deed).items()}
        text = str(words.pop("text", ""))
        for name, task in self.tasks.items():
            text = text.replace(name, task)
        await self.place(host, text, "x1", **words)

    async def picture(self, host: Host) -> list[str]:
        """What everybody said there and what the tasks were told, without what differs from run to run."""
        rows = sorted(await host.tasks(Filter(conversation=self.name, limit=100)), key=lambda row: row.created)
        found = [f"{row.title} {row.state} {row.hold}" for row in rows]
        for row in rows:
            for event in (recorded.event for recorded in await host.events_of(row.id)):
                if isinstance(event, Created):
                    found.append(f"{row.title} begins: {text_of(event.spec.message.parts)}")
                elif isinstance(event, Received):
                    found.append(f"{row.title} hears: {text_of(event.message.parts)}")
                elif isinstance(event, Answered) and isinstance(event.answer, Reply):
                    found.append(f"{row.title} is answered: {event.answer.text}")
        for line in await self.lines(host):
            said = (line.by, line.kind, line.text, line.state, line.before, line.deleted, bool(line.task))
            found.append(f"{said} {[button.label for button in line.buttons]}")
        # What a move left undone is told by who moved it, and not again after a cut.
        found = [re.sub(r"Moved\. “.*” goes on from before it\.", "Moved.", text) for text in found]
        plain = (re.sub(r"[0-9a-hjkmnp-tv-z]{16}", "ID", text) for text in found)
        return sorted(re.sub(r"\d+ seconds ago|just now", "AGO", text) for text in plain)

    async def rests(self, host: Host) -> None:
        """Until nothing happens there any more."""
        before: list[str] = []
        async with asyncio.timeout(30):
            while (now := await self.picture(host)) != before or any(" working " in text for text in now):
                before = now
                await asyncio.sleep(0.05)


DEEDS: dict[str, dict[str, Any]] = {
    "a list": {"text": "/tasks"},
    "a state": {"text": "/status FENCE"},
    "a cancel": {"text": "/cancel FENCE"},
    "a rest": {"text": "/pause FENCE"},
    "an answer": {"button": "BUTTON"},
    "asked, a choice": {},
    "asked, an edit": {"text": "make it a bit wider than that", "edits": "m3", "button": ""},
    "asked, a deletion": {"edits": "m3", "deleted": True, "button": ""},
    "said, an edit": {"text": "use little paint", "edits": "m3"},
    "said, a deletion": {"edits": "m3", "deleted": True},
    "said, a move": {"text": "/move POEM"},
    "a deletion of what began it": {"edits": "m1", "deleted": True},
    "an edit of what was never heard": {"text": "/new sing a song", "edits": "m9"},
}


@pytest.mark.parametrize("given", DEEDS)
async def test_whenever_the_host_is_cut_off_it_comes_to_the_same(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    whole = Chat("whole")
    await whole.ready(host, given)
    await whole.do(host, DEEDS[given])
    cutting, cut = Cutting(host, monkeypatch), list[Chat]()
    for at in range(1, MOST):
        chat = Chat(f"chat:{at}")
        await chat.ready(host, given)
        cutting.left = at
        try:
            await chat.do(host, DEEDS[given])
        except Cut:
            cut.append(chat)
            continue
        cutting.left = 0
        break
    assert 2 <= len(cut) < MOST - 2
    await host.close()
    monkeypatch.undo()
    host = await opens(REPLIES, work=True, toml=RULES)
    await host.conversing.recover()
    await whole.rests(host)
    expected = await whole.picture(host)
    for again in (False, True):
        for chat in cut:
            if again or chat is cut[0]:
                await chat.do(host, DEEDS[given])  # nobody heard that it was taken, so that it is said again
            await chat.rests(host)
            now = await chat.picture(host)
            assert now == expected, (
                chat.name,
                [*(Counter(now) - Counter(expected))],
                [*(Counter(expected) - Counter(now))],
            )
