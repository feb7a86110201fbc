"""From the host to people: one line of a conversation after another, one message of a line after another."""

import time

import structlog
from msgspec.structs import replace

from agenthost.core.conversations import Line
from agenthost.core.errors import AgentHostError, HostUnreachable, Temporary
from agenthost.core.offers import Speech
from agenthost.outposts.channel.book import Book, Showing
from agenthost.outposts.channel.busy import Busy
from agenthost.outposts.channel.pieces import pieces
from agenthost.outposts.channel.port import Channel, Content, Piece, Post, Posts
from agenthost.outposts.channel.ways import AGAIN, GIVEN_UP, VOICE, Ways


class Outward:
    """See the module."""

    def __init__(self, channel: Channel, posts: Posts, book: Book, ways: Ways, busy: Busy) -> None:
        self._channel = channel
        self._posts = posts
        self._book = book
        self._ways = ways
        self._busy = busy
        self._log = structlog.get_logger(__name__).bind(channel=channel.name)

    async def work(self, conversation: str) -> bool:
        """Show the oldest line of a conversation that is to be shown; False where there is none. Raises Temporary where it must wait."""
        showing = await self._book.next_showing(conversation)
        if showing is None:
            return False
        post = self._posts.get(showing.post)
        if post is None:
            await self._aside(showing, f"the key {showing.post}, with which it came, isn't in the settings any more")
            return True
        if showing.state == "due":
            await self._show(showing)
        if showing.state == "shown":
            await tell(post, self._book, showing)
        return True

    async def broken(self, conversation: str, problem: str, times: int) -> None:
        """A line at which this fails again and again stops no other."""
        if times >= GIVEN_UP and (showing := await self._book.next_showing(conversation)):
            await self._aside(showing, problem)

    async def _show(self, showing: Showing) -> None:
        line = showing.line
        made = await self._pieces(line)
        if line.kind in ("answer", "question", "which"):
            self._busy.end(line.conversation)
        while showing.piece < len(made):
            piece = made[showing.piece]
            try:
                content = await self._content(self._posts[showing.post], piece)
            except Temporary:
                raise
            except AgentHostError as error:
                await self._aside(showing, error.message)
                return
            if piece.spoken and content is None:
                showing.piece += 1
                continue
            if showing.sending:
                showing.again += 1
                self._log.warning(
                    "a message may come twice: it was under way when this was cut off",
                    place=line.place,
                    piece=showing.piece,
                )
            showing.sending = True
            await self._book.save(showing)
            try:
                ids = await self._channel.send(line.conversation, piece, content)
            except Temporary as error:
                # Only what the service may have taken stays in doubt.
                if not error.sent:
                    showing.sending = False
                    await self._book.save(showing)
                raise
            except AgentHostError as error:
                if not piece.spoken:
                    await self._aside(showing, error.message)
                    return
                # Somebody may take no voice messages; the words stand above it.
                self._log.warning("an answer isn't taken as voice", place=line.place, problem=error.message)
                ids = []
            showing.sending, showing.piece, showing.ids = False, showing.piece + 1, (*showing.ids, *ids)
            if showing.piece < len(made):
                await self._book.save(showing)
        showing.state = "shown"
        await self._book.save(showing)
        if line.kind == "settled" and line.question:
            await self._channel.fade(line.conversation, await self._book.asking(line.conversation, line.question))

    async def _pieces(self, line: Line) -> list[Piece]:
        spoken = False
        if self._ways.speak and line.kind == "answer" and line.reply_to:
            note = VOICE.format(conversation=line.conversation, key=line.reply_to)
            spoken = bool(await self._book.note(note))
        if line.kind == "settled" and (asked := await self._book.asking(line.conversation, line.question)):
            line = replace(line, reply_to=asked[0])
        return pieces(line, self._channel.limits, self._channel.shape, spoken)

    async def _content(self, post: Post, piece: Piece) -> Content | None:
        if piece.file is not None:
            data = await self._fetched(post, piece.file.digest)
            return Content(piece.file.name or "file", piece.file.media_type, data)
        if piece.written:
            return Content(piece.name, "text/markdown", piece.written.encode())
        if piece.spoken:
            return await self._speech(post, piece.spoken)
        return None

    async def _speech(self, post: Post, text: str) -> Content | None:
        """Words as a voice message, None where they can't be spoken: they stand above it in any case."""
        try:
            abilities = await post.abilities(self._ways.speak)
            made = await abilities.speak(Speech(text, self._ways.voice, "opus"))
        except AgentHostError as error:
            self._log.warning("an answer can't be spoken", model=self._ways.speak, problem=error.message)
            return None
        return Content("answer.ogg", made.media_type, made.content, voice=True)

    async def _fetched(self, post: Post, digest: str) -> bytes:
        try:
            return await post.get_file(digest)
        except HostUnreachable as error:
            raise Temporary(error.message) from error

    async def _aside(self, showing: Showing, problem: str) -> None:
        line = showing.line
        self._log.error(
            "a line can't be shown; it is tried again later",
            conversation=line.conversation,
            place=line.place,
            task=line.task,
            problem=problem,
            before=showing.tries,
        )
        left = AGAIN[showing.tries :]
        showing.due = time.time() + left[0] if left else 0.0
        showing.state, showing.reason, showing.sending, showing.tries = "aside", problem, False, showing.tries + 1
        await self._book.save(showing)


async def tell(post: Post, book: Book, showing: Showing) -> None:
    """Say to its host under which ids a line was shown, so that replies to it are understood. Raises Temporary."""
    if showing.ids:
        try:
            await post.sent(showing.line.place, showing.ids)
        except (HostUnreachable, Temporary) as error:
            raise Temporary(error.message) from error
        except AgentHostError as error:
            structlog.get_logger(__name__).warning(
                "the host doesn't know a line that was shown", place=showing.line.place, problem=error.message
            )
    showing.state = "told"
    await book.save(showing)
