"""People and channels around a host that dies: they write at once, say again what nobody took, and listen on from their last place.

All of this outlives the host. Words that a message carries and no other (`a7z`) tell later where it went.
"""

import asyncio
import re
from contextlib import aclosing, suppress
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.api import Incoming
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import FilePart, text_of
from agenthost.host.host import Host
from agenthost.testing.world import says

TOKEN = re.compile(r"\b([aqefs])(\d+)z\b")
"""What the agent does with the work that begins with such a word: it asks, asks twice, ends, fails, or is slow."""

Kind = Literal[
    "new",
    "plain",
    "answer",
    "press",
    "reply",
    "quote",
    "command",
    "chat",
    "which",
    "move",
    "shift",
    "file",
    "again",
    "named",
    "elsewhere",
]
COMMANDS = (
    "/tasks",
    "/status",
    "/cancel",
    "/cancel 1",
    "/pause 1",
    "/resume",
    "/resume 1",
    "/again",
    "/status 1",
    "cancel that",
    "how far is it?",
)


class Deed(Struct, frozen=True):
    """Something that somebody does: where, what, and numbers by which its details are chosen from what there is. `twice`: the channel sends it
    twice at once; `hangs`: whoever sends it hangs up after so many steps of the loop, and sends it again; `waits` that many seconds before."""

    conversation: int
    kind: Kind
    one: int = 0
    two: int = 0
    twice: bool = False
    hangs: int = 0
    waits: float = 0.0


class Message(Struct):
    """A message that was sent, and what its sender was told: how often it was taken; why it was refused."""

    number: int
    came: Incoming
    taken: int = 0
    refused: str = ""


class People:
    """Everybody outside. `deeds` are each one's, in their order."""

    def __init__(self, deeds: list[list[Deed]], files: list[FilePart], pace: float = 1.0) -> None:
        self.pace = pace
        self._deeds = deeds
        self._done = [0] * len(deeds)
        self._sending: dict[int, Message] = {}
        self._shifting: dict[int, tuple[int, str]] = {}
        self._files = files
        self.messages: list[Message] = []
        self.heard: dict[str, list[Line]] = {}
        self.told: list[Any] = []
        self.routed: dict[str, int] = {}
        self.moved: set[int] = set()

    # --- the model ---

    async def play(self, request: ModelRequest) -> ModelAnswer:
        """What the one model answers: it routes, and it works."""
        await asyncio.sleep(0.02)
        if request.metadata.get("purpose") == "route":
            task = request.metadata["task"]
            self.routed[task] = self.routed.get(task, 0) + 1
            number = sum(map(ord, task))
            said = ("steer", "unsure", "answer")[number % 3]
            return says(f'{{"task": {1 + number % 2}, "meaning": "{said}", "confidence": 0.9}}')
        words = TOKEN.search(text_of(request.turns[0].parts))
        does = words[1] if words is not None else "e"
        turn = sum(each.role == "assistant" for each in request.turns)
        if does == "s":
            await asyncio.sleep(20.0 * self.pace)
        if does == "f":
            raise Permanent("it can't", code="broken")
        if turn < {"a": 1, "q": 2}.get(does, 0):
            return says(
                "",
                (
                    "ask_person",
                    {"question": f"Which colour {'first' if turn else 'last'}?", "options": ["red", "blue"]},
                ),
            )
        return says("I have done it")

    # --- speaking ---

    async def speak(self, host: Host, one: int) -> None:
        """Go on with what somebody has to do, until it is done."""
        deeds = self._deeds[one]
        while self._done[one] < len(deeds):
            deed = deeds[self._done[one]]
            if one not in self._sending:
                await asyncio.sleep(deed.waits * self.pace)
            await self._do(host, one, deed)
            self._sending.pop(one, None)
            self._done[one] += 1

    async def _do(self, host: Host, one: int, deed: Deed) -> None:
        if deed.kind in ("shift", "elsewhere"):
            with suppress(AgentHostError):
                await (self._shift(host, one, deed) if deed.kind == "shift" else self._elsewhere(host, deed))
            return
        message = self._sending.get(one)
        if message is None:
            message = self._sending[one] = self._message(deed)
        if deed.hangs:
            asked = asyncio.get_running_loop().create_task(self.send(host, message))
            for _ in range(deed.hangs):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        if deed.twice:
            await asyncio.gather(self.send(host, message), self.send(host, message))
        else:
            await self.send(host, message)

    async def send(self, host: Host, message: Message) -> None:
        """Send a message until it is taken."""
        while True:
            try:
                await host.place(message.came)
                message.taken += 1
                return
            except Temporary:
                await asyncio.sleep(self.pace)
            except AgentHostError as error:
                message.refused = error.message
                return

    async def _shift(self, host: Host, one: int, deed: Deed) -> None:
        """Move a message by the API; who gets no answer asks for the same again."""
        if one not in self._shifting:
            name = f"chat:{deed.conversation}"
            wanted = LineFilter(conversation=name, by="person", limit=1000)
            lines = [line for line in await host.conversing.lines(wanted) if line.task]
            topics = await host.conversing.topics(name, all=True)
            if not lines:
                return
            to = ["", *(topic.task for topic in topics)][deed.two % (len(topics) + 1)]
            self._shifting[one] = lines[deed.one % len(lines)].place, to
        place, to = self._shifting[one]
        self.moved.add(place)
        with suppress(AgentHostError):
            await host.conversing.move(place, to)
        del self._shifting[one]

    async def _elsewhere(self, host: Host, deed: Deed) -> None:
        asked = [each for each in await host.questions() if "." not in each.task]
        if asked:
            chosen = asked[deed.one % len(asked)]
            await host.reply(chosen.task, "green", chosen.ask.id, by="ann")

    def _message(self, deed: Deed) -> Message:
        if deed.kind == "again" and self.messages:
            return self.messages[deed.one % len(self.messages)]
        return self.add(self._incoming(deed, len(self.messages)))

    def add(self, came: Incoming) -> Message:
        """A message that is to be sent."""
        self.messages.append(Message(len(self.messages), came))
        return self.messages[-1]

    def _incoming(self, deed: Deed, number: int) -> Incoming:
        name = f"chat:{deed.conversation}"
        heard = self.heard.get(name, [])
        word = f"{'aaqefs'[deed.two % 6]}{number}z"
        plain = Incoming(
            f"and see to it that {word} comes first", conversation=name, key=f"m{number}", name="worker", channel="chat"
        )
        made = self._to_a_line(deed, plain, heard, word)
        if made is not None:
            return made
        if deed.kind == "new":
            return _with(plain, text=f"/new do {word}")
        if deed.kind == "command":
            return _with(plain, text=COMMANDS[deed.one % len(COMMANDS)])
        if deed.kind == "chat":
            return _with(plain, text=("thanks a lot!", "ok", "red", "2", "the second one", "yes")[deed.one % 6])
        if deed.kind == "file":
            return _with(
                plain, text=f"look at {word}" if deed.one % 2 else "", files=(self._files[deed.two % len(self._files)],)
            )
        return plain

    def _to_a_line(self, deed: Deed, plain: Incoming, heard: list[Line], word: str) -> Incoming | None:
        """A message that is about one of the lines that were heard there; None where there is no such line."""
        wanted = {"answer": "question", "press": "question", "which": "which"}.get(deed.kind)
        lines = [line for line in heard if wanted is None or line.kind == wanted]
        if deed.kind == "move":
            own = [each for each in self.messages if each.came.conversation == plain.conversation]
            if not own:
                return None
            to = "new" if deed.two % 3 == 0 else str(deed.two % 3)
            return _with(plain, text=f"/move {to}", reply_to=own[deed.one % len(own)].came.key)
        if not lines:
            return None
        line = lines[-1 - deed.one % min(4, len(lines))]
        if deed.kind == "answer":
            return _with(plain, text=("red", f"rather {word}")[deed.two % 2], reply_to=_shown(line))
        if deed.kind in ("press", "which"):
            return _with(plain, text="", button=line.buttons[deed.two % len(line.buttons)].data)
        if deed.kind == "reply":
            return _with(plain, text=f"with {word} please", reply_to=_shown(line))
        if deed.kind == "quote":
            return _with(plain, text=f"there {word} is missing", quote=line.text[:20])
        if deed.kind == "named" and line.task:
            return _with(plain, task=line.task)
        return None

    # --- listening ---

    async def listen(self, host: Host, name: str) -> None:
        """Hear what the host says in a conversation, from the last place that was heard on, and show it."""
        heard = self.heard.setdefault(name, [])
        after = heard[-1].place if heard else 0
        told: Any = host.conversing.listen(LineFilter(conversation=name, by="host", after=after))
        async with aclosing(told) as lines:
            async for line in lines:
                heard.append(line)
                await host.conversing.sent(line.place, [_shown(line)])


def _shown(line: Line) -> str:
    return f"t{line.place}"


def _with(came: Incoming, **values: Any) -> Incoming:
    return replace(came, **values)
