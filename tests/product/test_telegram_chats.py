"""Telegram with the command as a person runs it: `agenthost up` that serves it itself, and `agenthost telegram serve` beside it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agenthost.client import connect
from agenthost.core.conversations import LineFilter
from tests.product.product import Product, png
from tests.product.telegrams import ANN, BOB, EVE, Chats, buttons, chats, kill, until


@pytest.fixture
async def chat(product: Product) -> AsyncGenerator[Chats]:
    async with chats(product) as made:
        yield made


def spoken(words: str) -> bytes:
    """A voice message, as the provider of the tests hears it."""
    return b"OggS".ljust(44, b"\0") + words.encode()


async def test_a_day_in_a_chat_that_the_host_serves_itself(chat: Chats) -> None:
    api = chat.api
    chat.settings(
        'enabled = true\nallow = [77, -5]\ntranscribe = "openai:gpt-4o-mini-transcribe"\nspeak = "openai:gpt-4o-mini-tts"\n'
        '[telegram.tokens]\n78 = "KEY_OF_BOB"\n'
    )
    await chat.run("people", "add", "bob")
    chat.product.env["KEY_OF_BOB"] = (await chat.run("keys", "new", "--person", "bob"))["secret"]
    async with chat.running("up", "--port", "0"):
        hello = api.write(ANN, "hello")
        said = api.write(ANN, "count the windows")
        (answer,) = await chat.shown(1)
        assert hello["reaction"] == [{"type": "emoji", "emoji": "👌"}], "small talk is nodded at"
        assert answer["text"] == "You said count the windows" and answer["entities"][0]["type"] == "bold"
        assert answer["reply_to_message"]["message_id"] == said["message_id"]

        # Two tasks at once: a question is answered by a reply, or by its buttons; what may be for both is asked about.
        api.write(ANN, "/new paint the fence")
        fence = await chat.told("Which colour?")
        api.write(ANN, "/new paint the door")
        await until(lambda: sum("Which colour?" in text for text in api.texts(77)) == 2, chat.log)
        door = api.shown(77)[-1]
        assert door["text"].startswith("[paint the door]"), "whose question it is is told where there are two"
        api.write(ANN, "hm, rather something between")
        which = await chat.told("Which one is")
        label = next(label for label in buttons(which) if "door" in label)
        api.press(ANN, which, buttons(which)[label])
        api.write(ANN, "red", reply_to=fence["message_id"])
        await chat.told("You said red")
        api.press(ANN, door, buttons(door)["blue"])
        await chat.told("You said blue")
        await until(lambda: not buttons(door) and not buttons(which), chat.log)

        # Pictures and files both ways.
        api.send_file(ANN, "photo", png(8), caption="/new look at it")
        await chat.told("I see it.")
        assert any(b"data:image/png;base64," in body for body in chat.asked()), "the model saw the picture"
        api.write(ANN, "/new make a logo")
        await until(lambda: any("document" in one for one in api.shown(77)), chat.log)
        await chat.told("Here they are.")
        files = [next(kind for kind in ("photo", "document") if kind in one) for one in api.shown(77)[-2:]]
        assert sorted(files) == ["document", "photo"]
        sent = next(one["document"] for one in api.shown(77) if "document" in one)
        assert (sent["file_name"], api.state.files[sent["file_id"]]) == ("notes.csv", b"a,b\n")

        # Voice both ways.
        api.send_file(ANN, "voice", spoken("how high is the tower"))
        which = await chat.told("Which one is “how high is the tower” for?")
        api.press(ANN, which, buttons(which)["Something new"])
        await chat.told("You said how high is the tower")
        await until(lambda: any("voice" in one for one in api.shown(77)), chat.log)
        voice = next(one["voice"] for one in api.shown(77) if "voice" in one)
        assert b"You said **how high is the tower**" in api.state.files[voice["file_id"]]

        # A long answer in pieces, none longer than Telegram takes (its twin refuses what is), no entity over an end.
        before = len(api.shown(77))
        api.write(ANN, "/new tell it at length")
        await until(lambda: "".join(one["text"] for one in api.shown(77)[before:]).count("😀") == 240, chat.log)
        assert len(api.shown(77)) - before == 3

        # A group, where only what is meant for the bot is heard; and somebody who isn't known.
        group = api.group(-5)
        api.write(BOB, "among ourselves", group)
        api.write(BOB, "@agenthost_bot count the doors", group)
        (answer,) = await chat.shown(1, -5)
        assert answer["text"] == "You said count the doors"
        api.write(BOB, "count the chairs")
        (answer,) = await chat.shown(1, 78)
        assert answer["text"] == "You said count the chairs"
        api.write(EVE, "let me in")
        (answer,) = await chat.shown(1, 66)
        assert answer["text"] == "I don't know you. Ask whoever runs me to allow the id 66."

        # An edit reaches the host, whatever it makes of it.
        api.edit(ANN, said, "count the windows of the house")
        async with connect(chat.product.home, {}) as client, asyncio.timeout(30):
            async for line in client.conversations().listen(LineFilter(conversation="telegram:123456/77", by="person")):
                if line.kind == "edit":
                    break
        assert (line.edits, line.text) == (str(said["message_id"]), "count the windows of the house")
    assert not any(b"among ourselves" in body or b"let me in" in body for body in chat.asked())
    assert not api.state.updates
    whose = dict(chat.product.sql("SELECT title, person FROM tasks"))
    assert (whose["count the windows"], whose["count the chairs"]) == ("owner", "bob"), "a key of their own counts"


async def test_approvals_by_button_with_the_outpost_a_process_of_its_own_and_both_killed(chat: Chats) -> None:
    api, effects = chat.api, chat.product.folder / "effects"
    chat.settings("allow = [-5]\n")
    group = api.group(-5)
    async with chat.running("telegram", "serve") as outpost:
        api.write(ANN, "@agenthost_bot pay bob", group)
        await until(lambda: not api.state.updates, chat.log)  # it is the outpost's, and there is no host yet
        async with chat.running("up", "--port", "0") as host:
            asked = await chat.told("wire", -5)
            assert '"to": "bob"' in asked["text"] or "to: bob" in asked["text"], asked["text"]
            kill(host)
            pressed = [api.press(user, asked, buttons(asked)["approve"]) for user in (ANN, BOB)]
            await until(lambda: not api.state.updates, chat.log)
            kill(outpost)
        assert not effects.exists()
    async with chat.running("telegram", "serve"), chat.running("up", "--port", "0"):
        await chat.told("It is paid.", -5)
        await chat.told("answered already: 'approve'", -5)
        await until(lambda: set(pressed) <= set(api.state.answered) and not buttons(asked), chat.log)
        assert effects.read_text() == "bob\n", "exactly once"

        # Answered elsewhere: that is told, and there is nothing left to press.
        api.write(ANN, "@agenthost_bot /new pay bob again", group)
        await until(lambda: buttons(api.shown(-5)[-1]), chat.log)
        asked = api.shown(-5)[-1]
        assert "wire" in asked["text"]
        await chat.run("tasks", "deny", "last")
        await chat.told("deny", -5)
        await until(lambda: not buttons(asked), chat.log)
        assert effects.read_text() == "bob\n"
