"""The Bot API of the tests keeps what Telegram's documentation promises, so that what passes here means something."""

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from agenthost.testing.telegram_api import BotApi, Fault
from agenthost.testing.telegram_api.state import Limits
from tests.outposts.services import ANN
from tests.outposts.test_telegram import PNG


class Wire:
    """Calls as any HTTP client makes them."""

    def __init__(self, api: BotApi, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.session = session

    async def __call__(self, method: str, **given: Any) -> tuple[int, Any]:
        """The status, and the result or what is said in its place."""
        async with self.session.post(f"{self.api.url}/bot{self.api.token}/{method}", json=given) as answer:
            body = await answer.json()
            assert body["ok"] == (answer.status == 200)
            return answer.status, body["result"] if body["ok"] else body["description"]


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    async with BotApi() as api, aiohttp.ClientSession() as session:
        api.start(ANN)
        yield Wire(api, session)


async def test_updates_come_until_a_higher_offset_confirms_them(wire: Wire) -> None:
    for text in ("a", "b", "c"):
        wire.api.write(ANN, text)
    _, first = await wire("getUpdates", limit=2)
    assert [one["message"]["text"] for one in first] == ["a", "b"]
    assert (await wire("getUpdates", limit=2))[1] == first
    _, rest = await wire("getUpdates", offset=first[1]["update_id"] + 1)
    assert [one["message"]["text"] for one in rest] == ["c"]
    _, last = await wire("getUpdates", offset=-1)
    assert last == rest
    assert (await wire("getUpdates", offset=rest[0]["update_id"] + 1)) == (200, [])


async def test_a_long_poll_waits_for_the_next_update_and_kinds_can_be_chosen(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        polling = group.create_task(wire("getUpdates", timeout=30, allowed_updates=["message"]))
        while not wire.api.state.calls:
            await asyncio.sleep(0.01)
        said = wire.api.write(ANN, "a")
        wire.api.edit(ANN, said, "b")
    assert [next(iter(one.keys() - {"update_id"})) for one in polling.result()[1]] == ["message"]
    assert len(wire.api.state.updates) == 1


async def test_of_two_who_poll_the_first_is_ended_and_a_webhook_excludes_polling(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(wire("getUpdates", timeout=30))
        while wire.api.state.calls == []:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        second = group.create_task(wire("getUpdates", timeout=1))
    assert first.result()[0] == 409 and "terminated by other getUpdates" in first.result()[1]
    assert second.result() == (200, [])
    assert (await wire("setWebhook", url="http://elsewhere.example"))[0] == 400
    await wire("setWebhook", url="http://127.0.0.1:9/x", secret_token="s")
    assert (await wire("getUpdates"))[0] == 409
    assert (await wire("getWebhookInfo"))[1]["url"] == "http://127.0.0.1:9/x"
    await wire("deleteWebhook")
    assert (await wire("getUpdates"))[0] == 200


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"chat_id": 1, "text": "x"}, 400, "chat not found"),
    ({"text": ""}, 400, "message text is empty"),
    ({"text": "😀" * 2049}, 400, "message is too long"),
    ({"text": "<x>", "parse_mode": "HTML"}, 400, "can't parse entities: Unsupported start tag"),
    ({"text": "<b>x", "parse_mode": "HTML"}, 400, "can't parse entities: Can't find end tag"),
    ({"text": "1.", "parse_mode": "MarkdownV2"}, 400, "is reserved and must be escaped"),
    ({"text": "😀", "entities": [{"type": "bold", "offset": 0, "length": 1}]}, 400, "in a middle of a UTF-16 symbol"),
    ({"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 2}]}, 400, "ends after the end of the text"),
    ({"text": "x", "reply_parameters": {"message_id": 99}}, 400, "message to be replied not found"),
    (
        {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "x" * 65}]]}},
        400,
        "BUTTON_DATA_INVALID",
    ),
]


@pytest.mark.parametrize(("given", "status", "words"), REFUSED, ids=lambda value: str(value)[:40])
async def test_what_telegram_refuses_is_refused(wire: Wire, given: dict[str, Any], status: int, words: str) -> None:
    found, said = await wire("sendMessage", **({"chat_id": 77} | given))
    assert found == status and words in said


async def test_a_message_of_the_greatest_length_and_a_reply_that_may_be_missing_are_taken(wire: Wire) -> None:
    assert (await wire("sendMessage", chat_id=77, text="😀" * 2048))[0] == 200
    missing = {"message_id": 99, "allow_sending_without_reply": True}
    status, sent = await wire("sendMessage", chat_id=77, text="x", reply_parameters=missing)
    assert status == 200 and "reply_to_message" not in sent


async def test_presses_edits_and_deletions_have_their_rules(wire: Wire) -> None:
    keyboard = {"inline_keyboard": [[{"text": "a", "callback_data": "x"}]]}
    _, sent = await wire("sendMessage", chat_id=77, text="x", reply_markup=keyboard)
    press = wire.api.press(ANN, wire.api.shown(77)[0], "x")
    assert (await wire("answerCallbackQuery", callback_query_id=press))[0] == 200
    assert "query is too old" in (await wire("answerCallbackQuery", callback_query_id=press))[1]
    where = {"chat_id": 77, "message_id": sent["message_id"]}
    assert (await wire("editMessageReplyMarkup", **where))[0] == 200
    assert "message is not modified" in (await wire("editMessageReplyMarkup", **where))[1]
    assert (await wire("editMessageText", **where, text="y"))[1]["text"] == "y"
    assert "not modified" in (await wire("editMessageText", **where, text="y"))[1]
    theirs = wire.api.write(ANN, "mine")["message_id"]
    assert "can't be edited" in (await wire("editMessageText", chat_id=77, message_id=theirs, text="y"))[1]
    assert (await wire("deleteMessage", **where))[0] == 200
    assert (await wire("deleteMessage", **where))[0] == 400
    assert (
        await wire("setMessageReaction", chat_id=77, message_id=theirs, reaction=[{"type": "emoji", "emoji": "x"}])
    )[0] == 400
    assert (await wire("sendChatAction", chat_id=77, action="dancing"))[0] == 400


async def test_files_have_their_sizes(wire: Wire) -> None:
    async def upload(method: str, kind: str, content: bytes) -> int:
        form = aiohttp.FormData({"chat_id": "77"})
        form.add_field(kind, io.BytesIO(content), filename="a.png")
        async with wire.session.post(f"{wire.api.url}/bot{wire.api.token}/{method}", data=form) as answer:
            return answer.status

    assert await upload("sendPhoto", "photo", PNG) == 200
    assert await upload("sendPhoto", "photo", b"no picture") == 400
    assert await upload("sendPhoto", "photo", PNG + bytes(10 * 1024 * 1024)) == 400
    assert await upload("sendDocument", "document", b"") == 400
    file = wire.api.state.file(b"content")
    _, found = await wire("getFile", file_id=file["file_id"])
    async with wire.session.get(f"{wire.api.url}/file/bot{wire.api.token}/{found['file_path']}") as answer:
        assert await answer.read() == b"content"
    big = wire.api.state.file(bytes(20 * 1024 * 1024 + 1))
    assert "file is too big" in (await wire("getFile", file_id=big["file_id"]))[1]


async def test_too_much_is_429_and_who_left_is_403_and_who_moved_is_told(wire: Wire) -> None:
    wire.api.state.limits = Limits(chat=1.0, burst=2)
    for _ in range(2):
        assert (await wire("sendMessage", chat_id=77, text="x"))[0] == 200
    async with wire.session.post(
        f"{wire.api.url}/bot{wire.api.token}/sendMessage", json={"chat_id": 77, "text": "x"}
    ) as answer:
        assert answer.status == 429
        assert (await answer.json())["parameters"]["retry_after"] >= 1
    wire.api.state.limits = None
    wire.api.start(ANN).gone = "bot was blocked by the user"
    assert await wire("sendMessage", chat_id=77, text="x") == (403, "Forbidden: bot was blocked by the user")
    group = wire.api.group(-5)
    wire.api.upgrade(group, -1_000_000_000_005, ANN)
    async with wire.session.post(
        f"{wire.api.url}/bot{wire.api.token}/sendMessage", json={"chat_id": -5, "text": "x"}
    ) as answer:
        assert (await answer.json())["parameters"] == {"migrate_to_chat_id": -1_000_000_000_005}


async def test_faults_come_when_they_are_asked_for(wire: Wire) -> None:
    wire.api.fail(Fault("sendMessage", 1, "after"))
    with pytest.raises(aiohttp.ClientError):
        await wire("sendMessage", chat_id=77, text="x")
    wire.api.fail(Fault("sendMessage", 1, "before", chat=77))
    with pytest.raises(aiohttp.ClientError):
        await wire("sendMessage", chat_id=77, text="y")
    wire.api.fail(Fault("", 1, "", 502, "Bad Gateway"))
    assert await wire("getMe") == (502, "Bad Gateway")
    assert wire.api.texts(77) == ["x"]
    async with wire.session.get(f"{wire.api.url}/bot1:wrong/getMe") as answer:
        assert answer.status == 401
    assert (await wire("sendNothing"))[0] == 404
