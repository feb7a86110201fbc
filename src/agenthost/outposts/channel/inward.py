"""From people to the host: one message of a conversation after another."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from agenthost.core.api import Incoming
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, HostUnreachable, Temporary, Unauthenticated
from agenthost.core.parts import FilePart
from agenthost.outposts.channel.book import Book
from agenthost.outposts.channel.busy import Busy
from agenthost.outposts.channel.doorman import Doorman
from agenthost.outposts.channel.port import MB, Attached, Channel, Heard, Piece, Post, Posts
from agenthost.outposts.channel.ways import GIVEN_UP, VOICE, Ways

_HOST_AWAY = "I can't reach my host right now. Your message is kept, and passed on once it is back."
_GREETING = "Hello! Your id is {id}. {may}"
_WELCOME = "Write to me what is to be done; send pictures, files or voice messages as you like."
_NOT_YET = "Whoever runs me has to allow it before I answer."


class Inward:
    """`told`: that lines of a conversation may wait for their ids to be known."""

    def __init__(self, channel: Channel, posts: Posts, book: Book, doorman: Doorman, ways: Ways, busy: Busy) -> None:
        self._channel = channel
        self._posts = posts
        self._book = book
        self._doorman = doorman
        self._ways = ways
        self._busy = busy
        self._away: dict[str, float] = {}
        self._log = structlog.get_logger(__name__).bind(channel=channel.name)
        self.told: Callable[[str], None] = lambda conversation: None

    async def work(self, conversation: str) -> bool:
        """Place the oldest message of a conversation; False where there is none. Raises Temporary where it must wait."""
        came = await self._book.next_heard(conversation)
        if not came:
            self._away.pop(conversation, None)
            return False
        if came[0].album:
            came = await self._whole(conversation, came)
        if any(one.addressed for one in came):
            await self._take(came)
        await self._book.forget(came)
        return True

    async def broken(self, conversation: str, problem: str, times: int) -> None:
        """A message at which this fails again and again stops no other: it is dropped with a line of the log, and its writer is told."""
        if times >= GIVEN_UP and (came := await self._book.next_heard(conversation)):
            self._log.error("a message can't be taken", conversation=conversation, key=came[0].key, problem=problem)
            await self._book.forget(came)
            await self._say(
                came[0], "That message couldn't be taken; something is wrong here. Please tell whoever runs me."
            )

    async def _whole(self, conversation: str, came: list[Heard]) -> list[Heard]:
        """All parts of what was sent as one, once no more have come for a while."""
        while True:
            await asyncio.sleep(self._ways.album)
            now = await self._book.next_heard(conversation)
            if len(now) == len(came):
                return now
            came = now

    async def _take(self, came: Sequence[Heard]) -> None:
        first = came[0]
        if first.greets:
            await self._greet(first)
        elif not self._doorman.may(first):
            await self._refuse(first)
        else:
            await self._place(came)
        if first.press:
            shown = await self._book.line_of(first.conversation, first.reply_to)
            once = shown is not None and shown.kind in ("question", "which")
            await self._channel.noticed(first, once and self._doorman.may(first))

    async def _greet(self, heard: Heard) -> None:
        may = self._doorman.may(heard)
        await self._say(heard, _GREETING.format(id=heard.account, may=_WELCOME if may else _NOT_YET))
        if not may:
            self._log.warning(
                "a stranger wrote; allow them in the settings where they may", account=heard.account, names=heard.names
            )

    async def _refuse(self, heard: Heard) -> None:
        key = f"refused {heard.conversation} {heard.account}"
        self._log.warning(
            "a stranger wrote; allow them in the settings where they may", account=heard.account, names=heard.names
        )
        if self._ways.refusal and not await self._book.note(key):
            await self._say(heard, self._ways.refusal.replace("{id}", heard.account))
            await self._book.put_note(key, str(int(time.time())))

    async def _place(self, came: Sequence[Heard]) -> None:
        first = came[0]
        post = self._posts[self._doorman.post(first)]
        # What was shown last must be known to the host, for this may reply to it.
        for showing in await self._book.untold(first.conversation):
            await self._posts[showing.post].sent(showing.line.place, showing.ids)
            showing.state = "told"
            await self._book.save(showing)
        if self._ways.speak and any(file.voice for one in came for file in one.attached):
            await self._book.put_note(VOICE.format(conversation=first.conversation, key=first.key), "1")
        try:
            incoming, missing = await self._incoming(post, came)
            placed = await post.place(incoming)
        except (HostUnreachable, Temporary, Unauthenticated, Forbidden) as error:
            await self._say_away(first)
            if isinstance(error, Temporary):
                raise
            raise Temporary(error.message) from error
        except BadInput as error:
            self._log.warning(
                "the host refused a message", conversation=first.conversation, key=first.key, problem=error.message
            )
            await self._say(first, f"That couldn't be taken: {error.message}")
            return
        if missing:
            await self._say(first, missing)
        if placed.became == "told" and not placed.said and not first.press:
            await self._channel.nod(first)
        if placed.task is not None and placed.became in ("order", "message", "answer"):
            self._busy.begin(first.conversation)

    async def _incoming(self, post: Post, came: Sequence[Heard]) -> tuple[Incoming, str]:
        """The message as the host takes it, and what its writer is to be told about files that can't be."""
        first = came[0]
        files: list[FilePart] = []
        texts = [one.text for one in came if one.text and not one.forwarded]
        passed_on = [one.text for one in came if one.text and one.forwarded]
        missing: list[str] = []
        for whole, attached in ((one, file) for one in came for file in one.attached):
            try:
                part, words = await self._file(post, attached)
                files.append(part)
                (passed_on if whole.forwarded else texts).extend([words] if words else [])
            except BadInput as error:
                missing.append(f"{attached.name}: {error.message}")
        (passed_on if first.forwarded else texts).extend(f"(not received: {what})" for what in missing)
        incoming = Incoming(
            text="\n".join(texts),
            files=tuple(files),
            name=self._ways.name,
            conversation=first.conversation,
            key=first.key,
            reply_to=first.reply_to,
            quote=first.quote,
            button=first.button,
            edits=first.edits,
            deleted=first.deleted,
            forwarded="\n".join(passed_on),
            channel=self._channel.name,
            account=first.account,
        )
        return incoming, "Not everything came through. " + "; ".join(missing) if missing else ""

    async def _file(self, post: Post, attached: Attached) -> tuple[FilePart, str]:
        """A file as the host has it, and what is said in it. Raises BadInput where it can't be had."""
        most = self._channel.limits.download
        if attached.size > most:
            raise BadInput(
                f"it has {attached.size / MB:.0f} MB, and {most // MB} MB can be fetched from here; send a smaller one"
            )
        try:
            content = await self._channel.fetch(attached)
        except Temporary:
            raise
        except AgentHostError as error:
            raise BadInput(error.message) from error
        part = await post.put_file(attached.name, content, attached.media_type)
        if not attached.voice or not self._ways.transcribe:
            return part, ""
        key = f"heard {part.digest}"
        words = await self._book.note(key)
        if not words:
            words = await self._transcript(post, content, attached.media_type)
            await self._book.put_note(key, words)
        return part, words

    async def _transcript(self, post: Post, content: bytes, media_type: str) -> str:
        try:
            abilities = await post.abilities(self._ways.transcribe)
            return (await abilities.transcribe(content, media_type)).text
        except (HostUnreachable, Temporary):
            raise
        except AgentHostError as error:
            self._log.warning(
                "a voice message can't be written down", model=self._ways.transcribe, problem=error.message
            )
            return ""

    async def _say_away(self, heard: Heard) -> None:
        """Tell somebody, once, that their message waits."""
        now = asyncio.get_running_loop().time()
        since = self._away.setdefault(heard.conversation, now)
        if now - since >= self._ways.away:
            self._away[heard.conversation] = float("inf")
            await self._say(heard, _HOST_AWAY)

    async def _say(self, heard: Heard, text: str) -> None:
        """Words of the courier's own. They are no line of the host; where they can't be shown, nothing is lost."""
        piece = Piece(text=text)
        if not heard.press and not heard.edits:
            piece = replace(piece, reply_to=heard.key)
        try:
            await self._channel.send(heard.conversation, piece)
        except AgentHostError as error:
            self._log.warning("something couldn't be told", conversation=heard.conversation, problem=error.message)
