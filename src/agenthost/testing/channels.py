"""For whoever writes a channel: its conformance suite, a channel in memory that passes it, and a host in memory to carry messages to.

Subclass `ChannelSuite` and give it a fixture `service`: the channel, and what people do in its service.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, cast

import pytest
from msgspec.structs import replace

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Button, Line, LineFilter
from agenthost.core.errors import HostUnreachable, NotFound, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.core.parts import FilePart
from agenthost.core.ports import Abilities
from agenthost.core.tasks import TaskRow
from agenthost.models.abilities import NoAbilities
from agenthost.outposts.channel.port import Attached, Channel, Content, Heard, Limits, Mark, Piece


class MemoryPost:
    """A host that only keeps what it is given, and says what it is told to: the promises of `Post`, nothing more. `away`: it can't be reached.
    `echo`: it answers each message."""

    def __init__(self, echo: bool = False) -> None:
        self.placed: dict[tuple[str, str], Incoming] = {}
        self.lines: list[Line] = []
        self.files: dict[str, bytes] = {}
        self.offers: dict[str, Abilities] = {}
        self.away = False
        self._echo = echo
        self._more = asyncio.Event()

    async def place(self, came: Incoming) -> Placed:
        self._reach()
        key = (came.conversation, came.key)
        first = key not in self.placed
        self.placed.setdefault(key, came)
        task = TaskRow(f"t{len(self.placed)}", "agent", came.name or "echo", "working", 0.0, 0.0)
        if first and self._echo:
            self.say(came.conversation, f"You said {came.text}", reply_to=came.key, channel=came.channel)
        return Placed(task, "order")

    async def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        after = wanted.after
        while True:
            self._reach()
            for line in self.lines[after:]:
                after = line.place
                if line.channel == wanted.channel and line.by == wanted.by:
                    yield line
            if after == len(self.lines):  # others may listen, too
                self._more.clear()
                await self._more.wait()

    async def last(self, wanted: LineFilter) -> int:
        self._reach()
        mine = (line for line in reversed(self.lines) if line.channel == wanted.channel and line.by == wanted.by)
        return next((line.place for line in mine), 0)

    async def sent(self, place: int, ids: Sequence[str]) -> None:
        self._reach()
        self.lines[place - 1] = replace(self.lines[place - 1], sent=tuple(ids))

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        self._reach()
        self.files[digest(content)] = content
        return FilePart(digest(content), media_type or "application/octet-stream", len(content), name)

    async def get_file(self, digest: str) -> bytes:
        self._reach()
        if digest not in self.files:
            raise NotFound(f"there is no content {digest}")
        return self.files[digest]

    async def abilities(self, name: str) -> Abilities:
        return self.offers.get(name) or NoAbilities(name)

    def say(self, conversation: str, text: str = "", **fields: Any) -> Line:
        """The host says something."""
        channel = fields.pop("channel", conversation.partition(":")[0])
        kind = fields.pop("kind", "answer")
        place = len(self.lines) + 1
        line = Line(conversation, f"h{place}", "host", kind, 1.0, text, channel=channel, place=place, **fields)
        self.lines.append(line)
        self._more.set()
        return line

    def wake(self) -> None:
        """Those who listen look again."""
        self._more.set()

    def _reach(self) -> None:
        if self.away:
            raise HostUnreachable("the host is away")


class MemoryChannel:
    """A channel without a service: what people `write` arrives, what is sent stands in `shown`. `faults` are raised by the next sends, after the message was shown
    where they say so."""

    name = "memory"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits(200)
        self.waiting: list[Heard] = []
        self.shown: list[tuple[str, Piece, bytes]] = []
        self.replied: dict[str, str] = {}
        self.faded: list[str] = []
        self.pressed: list[tuple[str, bool]] = []
        self.worked: list[str] = []
        self.nodded: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Exception] = []
        self.confirmed = 0
        self._more = asyncio.Event()
        self._count = 0

    def mine(self, conversation: str) -> bool:
        return conversation.startswith("memory:")

    def shape(self, text: str) -> tuple[str, tuple[Mark, ...]]:
        return text, ()

    async def arrivals(self) -> AsyncIterator[Sequence[Heard]]:
        while True:
            while not self.waiting:
                self._more.clear()
                await self._more.wait()
            given = self.waiting[:]
            yield given
            self.confirmed += len(given)
            del self.waiting[: len(given)]

    async def fetch(self, file: Attached) -> bytes:
        if file.ref not in self.blobs:
            raise Permanent("it is gone")
        return self.blobs[file.ref]

    async def send(self, conversation: str, piece: Piece, content: Content | None = None) -> list[str]:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not (isinstance(fault, Temporary) and fault.sent):
            raise fault
        self.shown.append((conversation, piece, content.data if content else b""))
        if fault is not None:
            raise fault
        return [str(len(self.shown))]

    async def noticed(self, heard: Heard, taken: bool) -> None:
        self.pressed.append((heard.press, taken))

    async def fade(self, conversation: str, ids: Sequence[str]) -> None:
        self.faded += ids

    async def nod(self, heard: Heard) -> None:
        self.nodded.append(heard.key)

    async def working(self, conversation: str) -> None:
        self.worked.append(conversation)

    # --- what people do ---

    def write(self, text: str, conversation: str = "memory:1", **fields: Any) -> Heard:
        """Somebody writes."""
        self._count += 1
        known: dict[str, Any] = {"arrival": f"a{self._count}", "key": f"k{self._count}", "account": "ann"}
        made = Heard(conversation=conversation, text=text, **(known | fields))
        self.waiting.append(made)
        self._more.set()
        return made

    def texts(self, conversation: str = "memory:1") -> list[str]:
        """What was shown there."""
        return [piece.text for there, piece, _ in self.shown if there == conversation]


class Service(Protocol):
    """What people do in the service of a channel, for its conformance suite. Everything happens in the conversation `here`."""

    channel: Channel
    here: str

    async def write(self, text: str) -> str:
        """Somebody writes a message; its key."""
        ...

    async def attach(self, name: str, content: bytes) -> None:
        """Somebody sends a file."""
        ...

    async def press(self, id: str, data: str) -> None:
        """Somebody presses a button of the message `id`."""
        ...

    def texts(self) -> list[str]:
        """The texts that were shown, in order."""
        ...

    def files(self) -> list[bytes]:
        """The files that were shown, in order."""
        ...

    def replied(self, id: str) -> str:
        """The key of the message that the message `id` answers, empty for none."""
        ...

    def buttons(self, id: str) -> list[str]:
        """The labels under a message."""
        ...

    def slow(self, seconds: float) -> None:
        """The next message is refused for so many seconds."""
        ...

    def block(self) -> None:
        """Nobody may write there any more."""
        ...


class ChannelSuite:
    """What every channel does."""

    async def test_what_people_write_arrives_in_order_and_again_until_it_was_confirmed(self, service: Service) -> None:
        keys = [await service.write(text) for text in ("one", "two 😀")]
        assert [(one.key, one.text) for one in await heard(service.channel, 2)] == list(
            zip(keys, ("one", "two 😀"), strict=True)
        )
        again = await heard(service.channel, 2, confirm=True)
        assert [one.key for one in again] == keys
        assert {one.conversation for one in again} == {service.here}
        assert len({one.arrival for one in again}) == 2
        third = await service.write("three")
        assert [one.key for one in await heard(service.channel, 1)] == [third]

    async def test_it_knows_its_own_conversations(self, service: Service) -> None:
        assert service.channel.mine(service.here)
        assert not service.channel.mine("another-channel:1")

    async def test_a_file_is_fetched_whole(self, service: Service) -> None:
        await service.attach("a.bin", b"\0\1" * 5000)
        (one,) = await heard(service.channel, 1)
        assert [file.name for file in one.attached] == ["a.bin"]
        assert await service.channel.fetch(one.attached[0]) == b"\0\1" * 5000

    async def test_a_message_is_shown_as_a_reply_and_named(self, service: Service) -> None:
        key = await service.write("hello")
        first = await service.channel.send(service.here, Piece("well", reply_to=key))
        second = await service.channel.send(service.here, Piece("and"))
        assert service.texts() == ["well", "and"]
        assert len({*first, *second}) == 2
        assert (service.replied(first[0]), service.replied(second[0])) == (key, "")

    async def test_a_message_of_the_full_length_is_taken(self, service: Service) -> None:
        limits = service.channel.limits
        text = "😀" * (limits.text // 2) if limits.units == "utf-16" else "😀" * limits.text
        await service.channel.send(service.here, Piece(text))
        assert service.texts() == [text]

    async def test_markdown_of_any_kind_is_shown(self, service: Service) -> None:
        for text in (
            "**bold** `code` [a](http://b.c)",
            "```py\nx = 1\n```",
            "* _ [ ] ( < & > ` ~~ ||",
            "| a |\n|---|\n| 1 |",
            "5 < 6 *",
        ):
            plain, marks = service.channel.shape(text)
            await service.channel.send(service.here, Piece(plain, marks))
        assert (
            len(service.texts()) == 5
            and service.texts()[0].startswith("bold")
            or service.texts()[0].startswith("**bold")
        )

    async def test_buttons_come_back_when_they_are_pressed_and_can_be_taken_away(self, service: Service) -> None:
        buttons = (Button("Yes", "y" * 64), Button("No", "n"))
        (id,) = await service.channel.send(service.here, Piece("Sure?", buttons=buttons))
        assert service.buttons(id) == ["Yes", "No"]
        await service.press(id, "y" * 64)
        (one,) = await heard(service.channel, 1)
        assert (one.button, one.reply_to, one.conversation) == ("y" * 64, id, service.here)
        await service.channel.noticed(one, True)
        await service.channel.noticed(one, True)
        await service.channel.fade(service.here, [id, "999999"])
        assert service.buttons(id) == []

    async def test_a_nod_and_a_sign_of_work_can_be_given(self, service: Service) -> None:
        await service.write("thanks")
        (one,) = await heard(service.channel, 1)
        await service.channel.nod(one)
        await service.channel.working(service.here)
        assert service.texts() == []

    async def test_a_file_is_shown_whole(self, service: Service) -> None:
        await service.channel.send(service.here, Piece(name="a.md"), Content("a.md", "text/markdown", b"# A"))
        assert service.files() == [b"# A"]

    async def test_a_service_that_wants_it_slower_is_obeyed(self, service: Service) -> None:
        service.slow(7.0)
        with pytest.raises(Temporary) as found:
            await service.channel.send(service.here, Piece("quick"))
        assert (found.value.delay, found.value.sent) == (7.0, False)

    async def test_where_nobody_may_write_it_says_so_for_good(self, service: Service) -> None:
        await service.write("hello")
        service.block()
        with pytest.raises(Permanent):
            await service.channel.send(service.here, Piece("are you there?"))


class _Closing(Protocol):
    async def aclose(self) -> None: ...


async def heard(channel: Channel, count: int, confirm: bool = False) -> list[Heard]:
    """The next so many messages; they come again unless they are to be confirmed."""
    found: list[Heard] = []
    arrivals = channel.arrivals()
    try:
        async for came in arrivals:
            found += [one for one in came if one.arrival not in {known.arrival for known in found}]
            if len(found) >= count:
                break
        if confirm:
            try:
                async with asyncio.timeout(0.3):
                    await anext(arrivals)
            except TimeoutError:
                pass
    finally:
        await cast(_Closing, arrivals).aclose()
    return found
