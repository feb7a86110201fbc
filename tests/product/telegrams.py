"""A person's chat with a bot of a real host: the Bot API and the model's provider in this process, the host and the outpost as the command starts them."""

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from agenthost.models.playbook import as_playbook
from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.service import Service, serving
from agenthost.testing.telegram_api import BotApi, User
from tests.product.product import PATIENCE, Product

ANN, BOB, EVE = User(77, "Ann", "ann"), User(78, "Bob"), User(66, "Eve")

TOOL = """
import os

from agenthost.core.tools import ToolSpec, text_result


class Wire:
    spec = ToolSpec("wire", "Wire money.", {"type": "object", "properties": {"to": {"type": "string"}}}, approval=True)

    async def call(self, arguments, context):
        with open(os.environ["EFFECTS"], "a") as file:
            file.write(arguments["to"] + "\\n")
        return text_result("wired")

    async def check(self, key, arguments):
        return None


wire = Wire()
"""
MANIFEST = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: helper}
spec: {description: Helps, tools: [ask, wire, draw, workspace]}
"""
LONG = "Eine Zeile mit **fetten** Worten und 😀. " * 40

PLAYBOOK: dict[str, Any] = {
    "rules": [
        {"when": {"says": "pay", "turn": 0}, "reply": {"calls": [{"tool": "wire", "arguments": {"to": "bob"}}]}},
        {"when": {"tool": "wire"}, "reply": {"text": "It is paid."}},
        {
            "when": {"says": "paint", "turn": 0},
            "reply": {
                "calls": [
                    {"tool": "ask_person", "arguments": {"question": "Which colour?", "options": ["red", "blue"]}}
                ]
            },
        },
        {
            "when": {"says": "a logo", "turn": 0},
            "reply": {
                "calls": [
                    {"tool": "draw", "arguments": {"prompt": "a logo", "path": "logo.png"}},
                    {"tool": "write_file", "arguments": {"path": "notes.csv", "content": "a,b\n"}},
                ]
            },
        },
        {"when": {"tool": "write_file"}, "reply": {"text": "Here they are."}},
        {"when": {"says": "at length"}, "reply": {"text": "\n\n".join([LONG] * 6)}},
        {"when": {"says": "look at it"}, "reply": {"text": "I see it."}},
        {"reply": {"text": "You said **{{said}}**"}},
    ]
}


class Chats:
    """`api`: where people write. `settings` (of the table `[telegram]`) and the rest of agenthost.toml are written by `open`."""

    def __init__(self, product: Product, api: BotApi, records: Path) -> None:
        self.product = product
        self.api = api
        self._records = records
        self._count = itertools.count()

    def settings(self, telegram: str, more: str = "") -> None:
        """Have these settings."""
        self.product.settings(
            f'[routing]\nmodel = ""\n{more}[tools]\nwire = "bank:wire"\n[models.for]\ndraw = "openai:gpt-image-1"\n'
            f'[telegram]\nname = "helper"\napi-url = "{self.api.url}"\nevery = 0.0\nrate = 1000.0\ngroup-rate = 1000.0\n{telegram}'
        )

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncGenerator[subprocess.Popen[bytes]]:
        """The command goes on while this is open, but for where it is killed; it has said its first line."""
        said = self.product.folder / f"said-{next(self._count)}"
        with (self.product.folder / "log").open("ab") as log, said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "agenthost.cli", *words, "--json", "--log-level", "info"],
                stdin=subprocess.DEVNULL,
                stdout=out,  # no pipe: a host whose words nobody reads stands still
                stderr=log,
                env=self.product.env,
                cwd=self.product.folder,
            )
        try:
            await until(lambda: b"\n" in said.read_bytes() or process.poll() is not None, self.log)
            assert process.poll() is None, self.log()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE)

    def log(self) -> str:
        """The end of what the processes said, and what is in the chats: for whoever reads a failure."""
        said = (self.product.folder / "log").read_text()[-3000:]
        chats = {id: [text[:60] for text in self.api.texts(id)] for id in self.api.state.chats}
        return f"{said}\n{chats}"

    async def run(self, *words: str) -> Any:
        """A command to its end, with `--json`: what it said."""
        done = await asyncio.to_thread(self.product.run, *words, "--json")
        assert done.code == 0, done
        return msgspec.json.decode(done.out) if done.out.strip() else None

    async def shown(self, count: int, chat: int = 77) -> list[dict[str, Any]]:
        """What the bot has sent, as soon as it is so much."""
        await until(lambda: len(self.api.shown(chat)) >= count, self.log)
        found = self.api.shown(chat)
        assert len(found) == count, [one.get("text") for one in found]
        return found

    async def told(self, words: str, chat: int = 77) -> dict[str, Any]:
        """The message of the bot's with these words."""
        await until(lambda: any(words in text for text in self.api.texts(chat)), self.log)
        return next(one for one in reversed(self.api.shown(chat)) if words in one.get("text", ""))

    def asked(self) -> list[bytes]:
        """What the model was sent."""
        return record.bodies(self._records)


@asynccontextmanager
async def chats(product: Product) -> AsyncGenerator[Chats]:
    """A home with an agent, and the services that it speaks to."""
    async with AsyncExitStack() as stack:
        service = Service(as_playbook(PLAYBOOK), product.folder / "asked")
        stack.callback(service.close)
        provider = await stack.enter_async_context(serving(service.application()))
        api = await stack.enter_async_context(BotApi())
        product.write("bank.py", TOOL)
        product.write("home/manifests/all.yaml", MANIFEST)
        product.env |= {
            "PYTHONPATH": str(product.folder),
            "EFFECTS": str(product.folder / "effects"),
            "AGENTHOST_MODEL": "openai:gpt-5-mini",
            "OPENAI_API_KEY": "sk-of-the-tests",
            "OPENAI_BASE_URL": f"{provider}/v1",
            "TELEGRAM_BOT_TOKEN": api.token,
        }
        yield Chats(product, api, product.folder / "asked")


async def until(true: Callable[[], Any], log: Callable[[], str] = str) -> None:
    """Wait until something is so."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never happened\n{log()}") from None


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it with SIGKILL."""
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def buttons(message: dict[str, Any]) -> dict[str, str]:
    """The data of a message's buttons by their labels."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return {one["text"]: one["callback_data"] for row in rows for one in row}
