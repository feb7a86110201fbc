"""Telegram with a real host behind it: by aiogram over HTTP to a Bot API of our own, and by the client over the host's socket."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.cli.connect import HomeDoor
from agenthost.cli.faces import desks
from agenthost.client import connect
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.events import Created
from agenthost.core.parts import FilePart
from agenthost.faces.http.server import Everybody, Offer, serve
from agenthost.host.host import Host
from agenthost.outposts.channel.post import ClientPost
from agenthost.outposts.telegram import serving
from agenthost.testing.telegram_api import BotApi
from tests.host.conftest import ASKER, ECHO, Opens, log, opens
from tests.outposts.couriers import until
from tests.outposts.killing import outpost
from tests.outposts.services import ANN, QUICK
from tests.outposts.test_telegram import PNG

__all__ = ["log", "opens"]
HERE = "telegram:123456/77"
LONG = "A paragraph of an answer. " * 100
PLAYS = f"""\
rules:
  - when: {{turn: 0, offers: ask_person}}
    reply: {{calls: [{{tool: ask_person, arguments: {{question: "Which colour?", options: [red, blue]}}}}]}}
  - when: {{says: a long text}}
    reply: {{text: "{LONG}\\n\\n{LONG}\\n\\n**{LONG.strip()}**"}}
  - reply: {{text: "You said **{{{{said}}}}**"}}
"""
TOML = '[routing]\nmodel = ""\n'


@pytest.fixture
async def api() -> AsyncGenerator[BotApi]:
    async with BotApi() as made:
        made.start(ANN)
        yield made


class Chat:
    """A person's chat with a bot of a real host."""

    def __init__(self, host: Host, api: BotApi) -> None:
        self.host = host
        self.api = api

    async def shown(self, count: int, chat: int = 77) -> list[dict[str, Any]]:
        """What the bot has sent, as soon as it is so much and the host knows its ids."""
        await until(lambda: len(self.api.shown(chat)) >= count)
        found = self.api.shown(chat)
        assert len(found) == count, [one.get("text") for one in found]
        return found

    async def lines(self, by: str = "person", here: str = HERE) -> list[Line]:
        found = await self.host.conversing.lines(LineFilter(conversation=here, limit=100))
        return [line for line in found if line.by == by]


@pytest.fixture
async def chat(opens: Opens, api: BotApi, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Chat]:
    """What is new goes to the agent that the test names."""
    host = await opens(PLAYS, ASKER, ECHO, work=True, toml=TOML)
    offer = Offer(Everybody(host, host.admin()), faces=[desks(host)])
    settings = msgspec.structs.replace(QUICK, api_url=api.url, name=getattr(request, "param", "echo"), allow=(77, -5))
    async with (
        serve(host, tmp_path / "home" / "host.sock", None, offer),
        connect(tmp_path / "home", {}) as client,
        serving.opened(serving.Part(settings, api.token, tmp_path / "own", {"": ClientPost(client)}), 1) as ready,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(ready.courier.run())
        yield Chat(host, api)
        running.cancel()


async def given(host: Host, task: str) -> tuple[str, list[FilePart]]:
    """The words and files with which a task began."""
    created = (await host.events_of(task))[0].event
    assert isinstance(created, Created)
    parts = created.spec.message.parts
    return "".join(getattr(part, "text", "") for part in parts), [part for part in parts if isinstance(part, FilePart)]


async def test_text_pictures_files_replies_edits_and_long_answers(chat: Chat) -> None:
    said = chat.api.write(ANN, "paint the door")
    (answer,) = await chat.shown(1)
    assert answer["text"] == "You said paint the door" and answer["entities"][0]["type"] == "bold"
    assert answer["reply_to_message"]["message_id"] == said["message_id"]

    chat.api.send_file(ANN, "photo", PNG, caption="/new look at it")
    await chat.shown(2)
    chat.api.send_file(ANN, "document", b"a,b\n1,2\n", "table.csv", caption="/new and that")
    await chat.shown(3)
    _, picture, table = await chat.lines()
    words, files = await given(chat.host, picture.task)
    assert words.endswith("look at it") and [file.media_type for file in files] == ["image/png"]
    assert await chat.host.get_file(files[0].digest) == PNG
    assert [file.name for file in (await given(chat.host, table.task))[1]] == ["table.csv"]

    chat.api.write(ANN, "/new write a long text")
    long = (await chat.shown(6))[3:]
    assert all(len(one["text"]) <= 4096 for one in long)
    assert " ".join(" ".join(one["text"] for one in long).split()) == " ".join((LONG * 3).split())
    (line,) = [line for line in await chat.lines("host") if line.text.startswith("A paragraph")]
    chat.api.write(ANN, "again, please", reply_to=long[1]["message_id"])
    await until(lambda: len(chat.api.shown(77)) > 6)
    reply = (await chat.lines())[-1]
    assert reply.decision is not None and (reply.decision.rule, reply.decision.task) == ("reply", line.task)

    edited = chat.api.edit(ANN, said, "paint the door, please")
    async with asyncio.timeout(20):
        while (edit := (await chat.lines())[-1]).kind != "edit":
            await asyncio.sleep(0.02)
    assert (edit.edits, edit.text) == (str(edited["message_id"]), "paint the door, please")


@pytest.mark.parametrize("chat", ["asker"], indirect=True)
async def test_questions_are_answered_by_buttons_and_so_is_which_task_is_meant(chat: Chat) -> None:
    for text in ("paint the fence", "/new paint the door"):
        chat.api.write(ANN, text)
        await until(lambda: chat.api.shown(77) and not chat.api.state.updates)
    fence, door = await chat.shown(2)
    assert [[one["text"] for one in row] for row in fence["reply_markup"]["inline_keyboard"]] == [["red", "blue"]]
    chat.api.write(ANN, "hm, green")
    which = (await chat.shown(3))[2]
    labels = [one["text"] for row in which["reply_markup"]["inline_keyboard"] for one in row]
    assert "hm, green" in which["text"] and {"paint the fence", "paint the door"} <= {
        label.removeprefix("/new ") for label in labels
    }
    button = next(
        one for row in which["reply_markup"]["inline_keyboard"] for one in row if one["text"].endswith("paint the door")
    )
    chat.api.press(ANN, which, button["callback_data"])
    await until(lambda: "reply_markup" not in which)

    lines = await chat.lines()
    green, second = (
        next(line for line in lines if line.text.endswith(text)) for text in ("hm, green", "paint the door")
    )
    assert green.task == second.task and green.state == "filed"

    for shown, choice in ((fence, 0), (door, 1)):
        button = shown["reply_markup"]["inline_keyboard"][0][choice]
        chat.api.press(ANN, shown, button["callback_data"])
        await until(lambda word=button["text"]: any(f"You said {word}" in one["text"] for one in chat.api.shown(77)))
        await until(lambda shown=shown: "reply_markup" not in shown)
    rows = [(await chat.host.task(line.task)).row for line in (lines[0], second)]
    assert [row.state for row in rows] == ["completed", "completed"]
    assert len(chat.api.state.answered) == 3


async def test_small_talk_is_nodded_at(chat: Chat) -> None:
    said = chat.api.write(ANN, "thanks")
    await until(lambda: said.get("reaction") == [{"type": "emoji", "emoji": "👌"}])


async def test_in_a_group_a_mention_begins_a_task(chat: Chat) -> None:
    group = chat.api.group(-5)
    chat.api.write(ANN, "among ourselves", group)
    chat.api.write(ANN, "@agenthost_bot count them", group)
    (answer,) = await chat.shown(1, -5)
    assert answer["text"] == "You said count them"


async def test_the_host_serves_telegram_itself_where_it_is_enabled(
    api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "plays.yaml").write_text(PLAYS)
    (home / "agenthost.toml").write_text(
        f'{TOML}[telegram]\nenabled = true\nallow = [77]\nname = "echo"\napi-url = "{api.url}"\nevery = 0.0\ntoken-env = "A_BOT"\n'
    )
    monkeypatch.setattr(
        os,
        "environ",
        os.environ | {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"},
    )
    for turn in range(2):
        async with HomeDoor(str(home)).serve(port=0) as host:
            if not turn:
                await host.api.apply({"echo.yaml": ECHO})
                await host.api.set_secret("A_BOT", api.token)
                continue  # it is looked for at the start
            api.write(ANN, "paint the door")
            await until(lambda: api.texts(77) == ["You said paint the door"])


async def test_the_host_may_go_and_come_back_and_the_outpost_be_killed(
    opens: Opens, api: BotApi, tmp_path: Path
) -> None:
    offer = None
    async with outpost(tmp_path / "own", api.url, str(tmp_path / "home"), api.token) as killed:
        api.write(ANN, "/new early")
        for text in ("one", "two"):
            host = await opens(PLAYS, ECHO, work=True, toml=TOML + 'agent = "echo"\n')
            offer = Offer(Everybody(host, host.admin()), faces=[desks(host)])
            async with serve(host, tmp_path / "home" / "host.sock", None, offer):
                api.write(ANN, f"/new {text}")
                await until(lambda text=text: any(shown.endswith(text) for shown in api.texts(77)))
                await killed.kill()
            await host.close()
            await killed.start()
    texts = api.texts(77)
    assert [text.split()[-1] for text in dict.fromkeys(texts)] == ["early", "one", "two"]
    assert len(texts) <= 3 + 2
