"""The courier between a channel and a host, both in memory: each message once, whatever fails."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from agenthost.core.conversations import Button
from agenthost.core.errors import BadInput, Conflict, NotFound, Permanent, Temporary
from agenthost.core.offers import Media, Transcript
from agenthost.core.parts import FilePart
from agenthost.models.abilities import NoAbilities
from agenthost.outposts.channel.book import Book, set_aside
from agenthost.outposts.channel.port import Attached, Limits
from agenthost.testing.channels import MemoryChannel, MemoryPost
from tests.outposts.couriers import WAYS, carried, until
from tests.outposts.services import book_at

HERE = "memory:1"


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel()


async def test_what_is_written_is_placed_and_what_is_answered_is_shown_as_a_reply(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    post = MemoryPost(echo=True)
    async with carried(channel, post, tmp_path) as book:
        said = channel.write("hello", quote="old", names=("@ann",))
        await until(lambda: post.lines and post.lines[0].sent)
        assert await book.hearing() == await book.showing() == []
    came = post.placed[(HERE, said.key)]
    assert (came.text, came.channel, came.account, came.quote) == ("hello", "memory", "ann", "old")
    ((where, piece, _),) = channel.shown
    assert (where, piece.text, piece.reply_to) == (HERE, "You said hello", said.key)
    assert post.lines[0].sent == ("1",)
    assert channel.confirmed == 1


async def test_a_host_that_is_away_gets_everything_in_order_once_it_is_back(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    post = MemoryPost(echo=True)
    post.away = True
    async with carried(channel, post, tmp_path):
        for number in range(3):
            channel.write(f"m{number}")
        await until(lambda: any("can't reach my host" in text for text in channel.texts()))
        assert channel.confirmed == 3 and not post.placed
        post.away = False
        post.wake()
        await until(lambda: len(channel.shown) == 4)
    assert [came.text for came in post.placed.values()] == ["m0", "m1", "m2"]
    assert channel.texts()[1:] == ["You said m0", "You said m1", "You said m2"]


async def test_conversations_dont_wait_for_each_other(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    channel.faults.append(Temporary("slower", delay=3600.0))
    async with carried(channel, post, tmp_path):
        post.say(HERE, "held")
        await until(lambda: not channel.faults)
        post.say("memory:2", "free")
        await until(lambda: channel.texts("memory:2") == ["free"])
    assert channel.texts() == []


async def test_the_rest_of_a_line_is_shown_after_a_crash_between_its_messages(tmp_path: Path) -> None:
    channel, post = MemoryChannel(Limits(20)), MemoryPost()
    channel.faults += [Temporary("away", delay=3600.0)]
    text = "First piece here.\n\nSecond one.\n\nAnd the third one."
    channel.faults.insert(0, None)  # type: ignore[arg-type] - the first is taken
    async with carried(channel, post, tmp_path) as book:
        post.say(HERE, text, buttons=(Button("ok", "ok"),))
        await until(lambda: not channel.faults)
        while (line := await book.next_showing(HERE)) is None or line.sending:
            await asyncio.sleep(0.01)
    async with carried(channel, post, tmp_path) as book:
        await until(lambda: post.lines[0].sent)
        assert await book.doubts() == 0
    assert channel.texts() == ["First piece here.", "Second one.", "And the third one."]
    assert post.lines[0].sent == ("1", "2", "3")
    assert [bool(piece.buttons) for _, piece, _ in channel.shown] == [False, False, True]


async def test_only_a_message_under_way_is_sent_again_and_counted(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    channel.faults.append(Temporary("cut", sent=True, delay=0.0))
    async with carried(channel, post, tmp_path) as book:
        post.say(HERE, "once or twice")
        post.say(HERE, "once")
        await until(lambda: post.lines[1].sent)
        assert await book.doubts() == 1
    assert channel.texts() == ["once or twice", "once or twice", "once"]
    assert post.lines[0].sent == ("2",)


async def test_what_cant_be_shown_is_put_aside_and_holds_nothing_up(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    channel.faults.append(Permanent("blocked by the user"))
    async with carried(channel, post, tmp_path) as book:
        post.say(HERE, "never", task="t1")
        post.say(HERE, "well", files=(FilePart("sha256:gone", "text/plain", 3, "a.txt"),))
        post.say(HERE, "always")
        await until(lambda: channel.texts() == ["well", "always"])
        seen = await book.aside()
        beside = await asyncio.to_thread(set_aside, tmp_path / "outposts" / "book.sqlite")
    assert [(one.line.text, one.reason) for one in seen] == [
        ("well", "there is no content sha256:gone"),
        ("never", "blocked by the user"),
    ]
    assert [one.line.text for one in beside] == ["well", "never"]


async def test_lines_that_were_shown_before_the_book_was_lost_arent_shown_again(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    post = MemoryPost()
    async with carried(channel, post, tmp_path):
        post.say(HERE, "before")
        await until(lambda: post.lines[0].sent)
    async with carried(channel, post, tmp_path / "new"):
        post.say(HERE, "after")
        await until(lambda: post.lines[1].sent)
    assert channel.texts() == ["before", "after"]


async def test_strangers_are_told_once_and_may_ask_who_they_are(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    async with carried(channel, post, tmp_path, allow=("@bob", "memory:9")):
        for text in ("let me in", "please"):
            channel.write(text, account="66")
        channel.write("/start", account="66", greets=True)
        channel.write("", account="66", button="yes", press="p1")
        channel.write("hi", account="67", names=("@Bob",))
        await until(lambda: post.placed and channel.pressed)
    assert [came.text for came in post.placed.values()] == ["hi"]
    assert channel.texts() == [
        "Who are you, 66?",
        "Hello! Your id is 66. Whoever runs me has to allow it before I answer.",
    ]
    assert channel.pressed == [("p1", False)]


async def test_a_person_with_a_key_of_their_own_has_lines_of_their_own(channel: MemoryChannel, tmp_path: Path) -> None:
    everybody, bobs = MemoryPost(echo=True), MemoryPost(echo=True)
    async with carried(channel, everybody, tmp_path, bob=("@bob", bobs)):
        channel.write("mine", account="2", names=("@Bob",))
        channel.write("ours", account="1")
        await until(lambda: len(channel.shown) == 2)
    assert [came.text for came in bobs.placed.values()] == ["mine"]
    assert [came.text for came in everybody.placed.values()] == ["ours"]


async def test_an_album_is_one_message_and_a_file_that_cant_be_had_is_told(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    post = MemoryPost()
    channel.blobs |= {"a": b"aa", "b": b"bb"}
    async with carried(channel, post, tmp_path):
        channel.write("look", album="7", attached=(Attached("a", "a.jpg", "image/jpeg"),))
        await asyncio.sleep(0)
        channel.write("", album="7", addressed=False, attached=(Attached("b", "b.jpg", "image/jpeg"),))
        channel.write("", album="7", attached=(Attached("c", "c.mp4", size=30 * 1024 * 1024), Attached("d", "d.txt")))
        await until(lambda: post.placed and channel.shown)
    (came,) = post.placed.values()
    assert [file.name for file in came.files] == ["a.jpg", "b.jpg"]
    assert came.text.startswith("look\n(not received: c.mp4: it has 30 MB, and 20 MB can be fetched from here")
    assert "(not received: d.txt: it is gone)" in came.text
    assert channel.texts()[0].startswith("Not everything came through. c.mp4")


async def test_an_album_in_which_nobody_named_us_is_dropped(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    async with carried(channel, post, tmp_path) as book:
        channel.write("", album="7", addressed=False)
        channel.write("", album="7", addressed=False)
        channel.write("hi")
        await until(lambda: post.placed)
        assert await book.hearing() == []
    assert [came.text for came in post.placed.values()] == ["hi"]


async def test_what_the_host_refuses_is_told_and_a_settled_question_loses_its_buttons(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    class Strict(MemoryPost):
        async def place(self, came: object) -> object:  # type: ignore[override]
            raise BadInput("there is no agent 'x'; name another")

    post = Strict()
    async with carried(channel, post, tmp_path):
        channel.write("hello")
        await until(lambda: channel.shown)
        post.say(HERE, "Sure?", kind="question", question="t1/c1", buttons=(Button("Yes", "y"),))
        post.say(HERE, "It was answered elsewhere.", kind="settled", question="t1/c1")
        await until(lambda: channel.faded)
    assert channel.texts()[0] == "That couldn't be taken: there is no agent 'x'; name another"
    assert channel.faded == ["2", "3"]


class Voices(NoAbilities):
    """A provider that hears and speaks."""

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript:
        return Transcript(f"heard {len(audio)} bytes of {media_type}")

    async def speak(self, wanted: object) -> Media:
        return Media(b"OggS" + str(getattr(wanted, "text", "")).encode(), "audio/ogg")


async def test_who_speaks_is_understood_and_answered_by_voice(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost(echo=True)
    post.offers["v"] = Voices("v")
    channel.blobs["v"] = b"OggS"
    async with carried(channel, post, tmp_path, msgspec.structs.replace(WAYS, transcribe="v", speak="v")):
        channel.write("", attached=(Attached("v", "v.ogg", "audio/ogg", voice=True),))
        await until(lambda: len(channel.shown) == 2)
        channel.write("typed")
        await until(lambda: len(channel.shown) == 3)
    first = next(iter(post.placed.values()))
    assert first.text == "heard 4 bytes of audio/ogg" and not first.files
    assert channel.texts() == [f"You said {first.text}", "", "You said typed"]
    assert channel.shown[1][2] == f"OggSYou said {first.text}".encode()


async def test_a_message_at_which_the_courier_itself_fails_stops_no_other(
    channel: MemoryChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(MemoryPost):
        async def place(self, came: object) -> object:  # type: ignore[override]
            if getattr(came, "text", "") == "poison":
                raise ZeroDivisionError("oh")
            return await super().place(came)  # type: ignore[arg-type]

    post = Broken()
    monkeypatch.setattr("agenthost.outposts.channel.lanes.FIRST", 0.0)
    async with carried(channel, post, tmp_path):
        channel.write("poison")
        channel.write("food")
        await until(lambda: post.placed)
    assert [came.text for came in post.placed.values()] == ["food"]
    assert "couldn't be taken" in channel.texts()[0]


async def test_a_book_is_one_couriers(tmp_path: Path) -> None:
    first = await book_at(tmp_path).open()
    with pytest.raises(Conflict, match="another process carries"):
        await Book(tmp_path / "outposts" / "book.sqlite").open()
    await first.close()
    await (await book_at(tmp_path).open()).close()


async def test_somebody_is_seen_at_work_until_the_answer_is_there(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    async with carried(channel, post, tmp_path):
        said = channel.write("do it")
        await until(lambda: channel.worked)
        post.say(HERE, "done", reply_to=said.key)
        await until(lambda: post.lines[0].sent)
    assert set(channel.worked) == {HERE}


async def test_a_key_that_was_taken_from_the_settings_holds_nothing_up(channel: MemoryChannel, tmp_path: Path) -> None:
    everybody, bobs = MemoryPost(), MemoryPost()
    channel.faults.append(Temporary("away", delay=3600.0))
    async with carried(channel, everybody, tmp_path, bob=("@bob", bobs)):
        bobs.say(HERE, "for bob")
        await until(lambda: not channel.faults)
    async with carried(channel, everybody, tmp_path) as book:
        channel.write("hello")
        everybody.say(HERE, "for all")
        await until(lambda: everybody.lines[0].sent and everybody.placed)
        (left,) = await book.aside()
    assert "the key bob" in left.reason and channel.texts() == ["for all"]


async def test_a_host_that_forgot_a_line_that_was_shown_takes_messages_all_the_same(
    channel: MemoryChannel, tmp_path: Path
) -> None:
    class Forgetful(MemoryPost):
        async def sent(self, place: int, ids: object) -> None:
            raise NotFound("there is no such line")

    post = Forgetful()
    async with carried(channel, post, tmp_path) as book:
        post.say(HERE, "well")
        await until(lambda: channel.texts() == ["well"])
        channel.write("hello")
        await until(lambda: post.placed)
        assert await book.aside() == []


async def test_a_host_that_was_restored_is_heard_from_where_it_is(channel: MemoryChannel, tmp_path: Path) -> None:
    post = MemoryPost()
    async with carried(channel, post, tmp_path):
        for text in ("one", "two", "three"):
            post.say(HERE, text)
        await until(lambda: post.lines[2].sent)
    del post.lines[1:]  # the backup is of before
    async with carried(channel, post, tmp_path) as book:
        post.lines[1:] = [msgspec.structs.replace(post.say(HERE, "another two"), id="of another task")]
        await until(lambda: len(post.lines) == 2 and post.lines[1].sent)
        assert await book.aside() == []
    assert channel.texts() == ["one", "two", "three", "another two"]
