"""Telegram, by aiogram over HTTP against a Bot API of our own, and a host in memory: what people see in their chats."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.client import Address
from agenthost.core.channels import TelegramSettings
from agenthost.core.conversations import Button
from agenthost.core.errors import BadInput, Unauthenticated
from agenthost.outposts.channel.book import Book
from agenthost.outposts.telegram import serving
from agenthost.outposts.telegram.channel import bot_of
from agenthost.testing.channels import MemoryPost
from agenthost.testing.telegram_api import BotApi, Fault, User
from agenthost.testing.telegram_api.state import Limits
from tests.outposts.couriers import until
from tests.outposts.services import ANN, QUICK

EVE = User(66, "Eve")
HERE = "telegram:77"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@asynccontextmanager
async def served(
    api: BotApi, post: MemoryPost, home: Path, settings: TelegramSettings = QUICK
) -> AsyncGenerator[serving.Serving]:
    """The outpost runs while this is open."""
    settings = msgspec.structs.replace(settings, api_url=api.url)
    async with (
        serving.opened(serving.Part(settings, api.token, home, {"": post}), 1) as ready,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(ready.courier.run())
        try:
            yield ready
        finally:
            running.cancel()


@pytest.fixture
async def api() -> AsyncGenerator[BotApi]:
    async with BotApi() as made:
        made.start(ANN)
        yield made


@pytest.fixture
def post() -> MemoryPost:
    return MemoryPost(echo=True)


async def test_a_message_is_answered_as_a_reply_and_its_ids_are_told(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    async with served(api, post, tmp_path):
        said = api.write(ANN, "**hello**")
        await until(lambda: post.lines and post.lines[0].sent)
    (shown,) = api.shown(77)
    assert shown["text"] == "You said hello"
    assert [(one["type"], one["offset"], one["length"]) for one in shown["entities"]] == [("bold", 9, 5)]
    assert shown["reply_to_message"]["message_id"] == said["message_id"]
    assert post.lines[0].sent == (str(shown["message_id"]),)
    assert (77, "typing") in api.state.actions
    assert not api.state.updates
    assert {one["command"] for one in api.state.commands} >= {"tasks", "new", "cancel", "help"}


async def test_what_came_while_nobody_was_there_is_placed_once(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    api.write(ANN, "early")
    for _ in range(2):
        async with served(api, post, tmp_path):
            await until(lambda: post.lines and post.lines[0].sent)
    assert api.texts(77) == ["You said early"]


async def test_pictures_files_voices_and_other_kinds_reach_the_host(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    place = {"location": {"latitude": 1.5, "longitude": 2.5}}
    async with served(api, post, tmp_path):
        api.send_file(ANN, "photo", PNG, caption="a sketch")
        api.send_file(ANN, "document", b"a,b", "a.csv")
        api.send_file(ANN, "voice", b"OggS")
        api.send_file(ANN, "document", bytes(21 * 1024 * 1024), "big.bin", caption="much")
        api.write(ANN, **place)
        api.write(ANN, contact={"phone_number": "+1", "first_name": "Bob"})
        api.write(
            ANN,
            sticker={
                **api.state.file(b"s"),
                "type": "regular",
                "width": 1,
                "height": 1,
                "is_animated": False,
                "is_video": False,
                "emoji": "😀",
            },
        )
        api.write(ANN, new_chat_title="nothing for us")
        api.write(ANN, "end")
        await until(lambda: len(post.placed) == 8)
    came = [*post.placed.values()]
    assert [[(file.name, file.media_type) for file in one.files] for one in came[:4]] == [
        [("picture-1.jpg", "application/octet-stream")],
        [("a.csv", "application/octet-stream")],
        [("voice-3.ogg", "audio/ogg")],
        [],
    ]
    assert post.files[came[0].files[0].digest] == PNG
    assert came[0].text == "a sketch"
    assert came[3].text.startswith("much\n(not received: big.bin: it has 21 MB")
    assert [one.text for one in came[4:]] == [
        "[a place: latitude 1.5, longitude 2.5]",
        "[a contact: Bob, +1]",
        "[a sticker: 😀]",
        "end",
    ]
    assert any(
        text.startswith("Not everything came through. big.bin: it has 21 MB, and 20 MB") for text in api.texts(77)
    )


async def test_an_album_is_one_message(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    async with served(api, post, tmp_path):
        for number in range(3):
            api.send_file(
                ANN, "photo", PNG + bytes([number]), media_group_id="9", **({"caption": "three"} if not number else {})
            )
        await until(lambda: post.placed)
    (came,) = post.placed.values()
    assert (came.text, came.key, len(came.files)) == ("three", "1", 3)


async def test_edits_replies_quotes_and_what_is_taken_back_are_passed_on(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    async with served(api, post, tmp_path):
        first = api.write(ANN, "one")
        await until(lambda: post.lines and post.lines[0].sent)
        (shown,) = api.shown(77)
        api.write(ANN, "about that", reply_to=shown["message_id"], quote={"text": "said", "position": 4})
        api.edit(ANN, first, "one, better")
        api.write(ANN, "/delete", reply_to=first["message_id"])
        await until(lambda: len(post.placed) == 4)
    _, reply, edit, gone = post.placed.values()
    assert (reply.reply_to, reply.quote) == (str(shown["message_id"]), "said")
    assert (edit.edits, edit.text, edit.deleted) == ("1", "one, better", False)
    assert (gone.edits, gone.deleted, gone.text) == ("1", True, "")
    assert len({one.key for one in post.placed.values()}) == 4


async def test_what_somebody_else_wrote_is_passed_on_as_theirs(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    eve = {"type": "user", "date": 1, "sender_user": {"id": EVE.id, "is_bot": False, "first_name": "Eve"}}
    ann = eve | {"sender_user": {"id": ANN.id, "is_bot": False, "first_name": "Ann"}}
    async with served(api, post, tmp_path):
        api.write(ANN, "/delete everything", forward_origin=eve, reply_to=api.write(ANN, "one")["message_id"])
        api.write(ANN, "two", forward_origin=ann)
        api.write(ANN, "three", forward_origin={"type": "hidden_user", "date": 1, "sender_user_name": "E."})
        api.send_file(ANN, "document", b"four", "4.txt", caption="four", forward_origin=eve)
        await until(lambda: len(post.placed) == 5)
    placed = [(one.text, one.forwarded, one.deleted) for one in post.placed.values()]
    assert placed == [
        ("one", "", False),
        ("", "/delete everything", False),
        ("two", "", False),
        ("", "three", False),
        ("", "four", False),
    ]


async def test_a_questions_buttons_answer_it_once_and_go(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    buttons = (Button("Yes", "answer:t1/c1:1"), Button("No", "answer:t1/c1:2"))
    async with served(api, post, tmp_path):
        asked = post.say(HERE, "Send the mail?", kind="question", question="t1/c1", buttons=buttons)
        listed = post.say(HERE, "Tasks", kind="told", buttons=(Button("Status", "progress:t1"),))
        await until(lambda: post.lines[listed.place - 1].sent)
        question, tasks = api.shown(77)
        assert [[one["text"] for one in row] for row in question["reply_markup"]["inline_keyboard"]] == [["Yes", "No"]]
        pressed = [api.press(ANN, question, "answer:t1/c1:1"), api.press(ANN, tasks, "progress:t1")]
        await until(lambda: api.state.answered == pressed)
        await until(lambda: "reply_markup" not in question)
    came = [*post.placed.values()]
    assert [(one.button, one.text, one.reply_to) for one in came] == [
        ("answer:t1/c1:1", "Yes", post.lines[asked.place - 1].sent[0]),
        ("progress:t1", "Status", post.lines[listed.place - 1].sent[0]),
    ]
    assert "reply_markup" in tasks


async def test_in_a_group_only_what_is_meant_for_the_bot_is_heard(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    group = api.group(-500)
    forum = api.group(-1_000_000_000_500, topics=True)
    async with served(api, post, tmp_path, msgspec.structs.replace(QUICK, allow=(-500, -1_000_000_000_500))):
        api.write(ANN, "just talk", group)
        api.write(ANN, "@agenthost_bot do this", group)
        await until(lambda: post.lines and post.lines[0].sent)
        api.write(EVE, "and that", group, reply_to=api.shown(-500)[0]["message_id"])
        api.write(ANN, "/tasks@agenthost_bot", group)
        api.write(ANN, "/tasks@other_bot", group)
        topic = {"message_thread_id": 5, "is_topic_message": True}
        api.write(ANN, "@agenthost_bot here", forum, **topic)
        await until(lambda: len(post.placed) == 4 and len(api.shown(-1_000_000_000_500)) == 1)
    assert sorted((one.conversation, one.text, one.account) for one in post.placed.values()) == [
        ("telegram:-1000000000500:5", "here", "77"),
        ("telegram:-500", "/tasks", "77"),
        ("telegram:-500", "and that", "66"),
        ("telegram:-500", "do this", "77"),
    ]
    assert api.shown(-1_000_000_000_500)[0]["message_thread_id"] == 5


async def test_a_group_that_becomes_a_supergroup_stays_the_same_conversation(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    old, settings = api.group(-500), msgspec.structs.replace(QUICK, allow=("77",))
    async with served(api, post, tmp_path, settings):
        api.write(ANN, "/one", old)
        await until(lambda: post.lines and post.lines[0].sent)
        new = api.upgrade(old, -1_000_000_000_777, ANN)
        post.say("telegram:-500", "still here", reply_to="1")
        await until(lambda: api.texts(new.id) == ["still here"])
    async with served(api, post, tmp_path, settings):
        said = api.write(ANN, "/two", new)
        await until(lambda: len(api.texts(new.id)) == 2)
    assert [*post.placed] == [("telegram:-500", "1"), ("telegram:-500", f"{said['message_id']}@{new.id}")]
    assert "reply_to_message" not in api.shown(new.id)[0]
    assert api.shown(new.id)[1]["reply_to_message"]["message_id"] == said["message_id"]


async def test_a_long_answer_comes_in_pieces_and_a_very_long_one_as_a_file(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    long = "\n\n".join(f"Paragraph {number}. " + "Words 😀 and more. " * 40 for number in range(12))
    async with served(api, post, tmp_path):
        api.write(ANN, "hi")
        await until(lambda: post.lines and post.lines[0].sent)
        post.say(HERE, long)
        post.say(HERE, "```python\n" + "x = 1\n" * 2000 + "```\n" + long * 5, label="Report")
        await until(lambda: len(post.lines) == 3 and post.lines[2].sent)
    shown = api.shown(77)[1:]
    texts = [one["text"] for one in shown if "text" in one]
    assert len(post.lines[1].sent) == 3 and len(texts) == 4
    assert all(text.startswith("Paragraph") for text in texts[:3])
    assert texts[3].startswith("[Report] x = 1") and texts[3].endswith("(the whole text is in the file)")
    assert shown[-1]["document"]["file_name"] == "answer.md"
    assert api.state.files[shown[-1]["document"]["file_id"]].decode().startswith("[Report] ```python")


async def test_files_of_an_answer_are_shown_as_what_they_are(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    files = [await post.put_file("a.png", PNG, "image/png"), await post.put_file("b.png", b"no picture", "image/png")]
    files += [
        await post.put_file("c.mp3", b"ID3", "audio/mpeg"),
        await post.put_file("d.pdf", b"%PDF-", "application/pdf"),
    ]
    huge = msgspec.structs.replace(files[0], size=60 * 1024 * 1024, name="huge.mp4")
    async with served(api, post, tmp_path):
        post.say(HERE, "Look", files=(*files, huge))
        await until(lambda: post.lines[0].sent)
    kinds = [next(key for key in ("text", "photo", "document", "audio") if key in one) for one in api.shown(77)]
    assert kinds == ["text", "photo", "document", "audio", "document", "text"]
    assert api.texts(77)[1] == "huge.mp4 (60 MB) is too large to be sent here (50 MB); it is kept with its task."


async def test_telegrams_word_to_wait_is_kept_and_faults_lose_nothing(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    api.fail(Fault("sendMessage", 1, "", 429, "Too Many Requests: retry after 1", {"retry_after": 1}))
    api.fail(Fault("sendMessage", 2, "", 502, "Bad Gateway"))
    api.fail(Fault("sendMessage", 1, "before"))
    api.fail(Fault("getUpdates", 2, "", 502, "Bad Gateway"))
    async with served(api, post, tmp_path) as ready:
        api.write(ANN, "hello")
        await until(lambda: post.lines and post.lines[0].sent)
        assert await ready.book.doubts() == 3
    assert api.texts(77) == ["You said hello"]


async def test_a_cut_after_telegram_took_it_doubles_that_message_alone(
    api: BotApi, post: MemoryPost, tmp_path: Path
) -> None:
    api.fail(Fault("sendMessage", 1, "after"))
    async with served(api, post, tmp_path) as ready:
        api.write(ANN, "hello")
        api.write(ANN, "more")
        await until(lambda: len(post.lines) == 2 and post.lines[1].sent)
        assert await ready.book.doubts() == 1
    assert api.texts(77) == ["You said hello", "You said hello", "You said more"]


async def test_telegram_may_go_and_come_back(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    async with served(api, post, tmp_path):
        api.write(ANN, "before")
        await until(lambda: post.lines and post.lines[0].sent)
        await api.stop()
        post.say(HERE, "while it is away")
        await api.listen()
        api.write(ANN, "after")
        await until(lambda: len(api.texts(77)) == 3)
    assert sorted(api.texts(77)) == ["You said after", "You said before", "while it is away"]


async def test_who_blocked_the_bot_holds_nobody_up(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    api.start(EVE).gone = "bot was blocked by the user"
    async with served(api, post, tmp_path) as ready:
        post.say("telegram:66", "nobody hears")
        post.say("telegram:999", "nobody is there")
        post.say(HERE, "hello")
        await until(lambda: post.lines[2].sent)
        while len(seen := await ready.book.aside()) < 2:
            await asyncio.sleep(0.01)
    assert {one.reason for one in seen} == {
        "Telegram refuses it: Forbidden: bot was blocked by the user",
        "Telegram refuses it: Bad Request: chat not found",
    }


async def test_the_limits_of_telegram_are_kept(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    api.state.limits = Limits(chat=20.0, burst=1, all=1000)
    async with served(api, post, tmp_path, msgspec.structs.replace(QUICK, every=0.08)):
        for number in range(6):
            post.say(HERE, f"n{number}")
        await until(lambda: post.lines[-1].sent)
    assert api.texts(77) == [f"n{number}" for number in range(6)]
    assert sum(method == "sendMessage" for method, _ in api.state.calls) == 6


async def test_a_stranger_is_refused_and_told_who_they_are(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    async with served(api, post, tmp_path):
        api.write(EVE, "let me in")
        api.write(EVE, "/start")
        api.write(ANN, "hi")
        await until(lambda: len(api.texts(66)) == 2 and post.placed)
    assert api.texts(66) == [
        "I don't know you. Ask whoever runs me to allow the id 66.",
        "Hello! Your id is 66. Whoever runs me has to allow it before I answer.",
    ]
    assert [one.text for one in post.placed.values()] == ["hi"]


async def test_a_webhook_brings_the_same_and_believes_telegram_alone(
    api: BotApi, post: MemoryPost, tmp_path: Path, unused_tcp_port: int
) -> None:
    import aiohttp

    url = f"http://127.0.0.1:{unused_tcp_port}/telegram"
    settings = msgspec.structs.replace(QUICK, webhook_url=url, webhook_listen=f"127.0.0.1:{unused_tcp_port}")
    async with served(api, post, tmp_path, settings):
        await until(lambda: api.state.webhook)
        async with aiohttp.ClientSession() as session, session.post(url, json={"update_id": 1}) as answer:
            assert answer.status == 401
        for number in range(3):
            api.send_file(ANN, "photo", PNG, media_group_id="9")
            api.write(EVE, f"m{number}")
        await until(lambda: post.lines and post.lines[0].sent and not api.state.updates)
    (came,) = post.placed.values()
    assert len(came.files) == 3
    # Back to long poll: the webhook is taken away first.
    async with served(api, post, tmp_path):
        api.write(ANN, "polled")
        await until(lambda: len(post.placed) == 2)
    assert not api.state.webhook


async def test_an_update_that_cant_be_read_keeps_no_other_back(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    async with served(api, post, tmp_path):
        api.state.update("message", {"message_id": "no number", "chat": 5})
        api.state.updates.append({"update_id": 5000, "a_kind_of_next_year": {"x": 1}})
        api.write(ANN, "hi")
        await until(lambda: post.placed and not api.state.updates)


async def test_a_second_process_with_the_same_bot_is_noticed(
    api: BotApi, post: MemoryPost, tmp_path: Path, caplog: Any, capsys: Any
) -> None:
    async with served(api, post, tmp_path / "a"), served(api, MemoryPost(), tmp_path / "b"):
        await until(lambda: "another process receives with this bot's token" in capsys.readouterr().out)


@pytest.mark.parametrize("token", ["", "987", "abc:0123456789012345678901234567", "1:short", "1:0123456789 0123456789"])
def test_what_cant_be_a_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(BadInput) as found:
        bot_of(QUICK, token)
    assert not token or token not in found.value.message


async def test_a_wrong_token_is_said_and_never_shown(api: BotApi, post: MemoryPost, tmp_path: Path) -> None:
    token = "123456:another-token-that-is-long-enough"
    settings = msgspec.structs.replace(QUICK, api_url=api.url)
    with pytest.raises(Unauthenticated) as found:
        async with serving.opened(serving.Part(settings, token, tmp_path, {"": post}), 1):
            pass
    assert "another-token" not in found.value.message
    with pytest.raises(BadInput, match="BotFather"):
        serving.token_of(settings, lambda name: "")


async def test_keys_of_peoples_own_are_used_once_each() -> None:
    settings = msgspec.structs.replace(QUICK, tokens={"@ann": "ANN", "77": "ANN", "5": "BOB"})
    here = Address(url="http://127.0.0.1:1")

    def keys(**known: str) -> Any:
        own = lambda key: Address(url="http://127.0.0.1:1", token=key)  # noqa: E731
        return serving.posts_of(settings, lambda name: known.get(name, ""), here, own)

    async with keys(ANN="k1", BOB="k2") as posts:
        assert set(posts) == {"", "ANN", "BOB"}
    with pytest.raises(BadInput, match="names BOB for 5"):
        async with keys(ANN="k1"):
            pass


def test_each_bot_has_a_book_of_its_own(tmp_path: Path) -> None:
    assert serving.book_of(tmp_path, "12:aa") != serving.book_of(tmp_path, "13:aa")
    assert isinstance(Book(serving.book_of(tmp_path, "12:aa")), Book)
