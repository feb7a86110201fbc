"""Updates from the Bot API: asked for by long poll, or brought to a webhook. What can't be read is left out, and no other with it."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import structlog
from aiogram import Bot
from aiogram.methods import TelegramMethod
from aiogram.types import Update
from aiohttp import web
from pydantic import ValidationError

from agenthost.core.errors import BadInput, Temporary
from agenthost.outposts.telegram.failures import Taken, told
from agenthost.outposts.telegram.hearing import KINDS

FIRST, LONGEST = 0.5, 30.0
_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_LONGEST_BODY = 4 * 1024 * 1024


class _Updates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates, whose answer is read update by update: one that this aiogram can't read must not keep the others back."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int = 100
    timeout: int = 0
    allowed_updates: list[str] | None = None


def read(bot: Bot, raw: Sequence[dict[str, Any]]) -> list[Update]:
    """Those that can be read."""
    found: list[Update] = []
    for one in raw:
        try:
            found.append(Update.model_validate(one, context={"bot": bot}))
        except ValidationError as error:
            structlog.get_logger(__name__).error(
                "an update can't be read", update=one.get("update_id"), problem=str(error.errors()[:1])
            )
    return found


async def polled(bot: Bot, patience: int) -> AsyncGenerator[Sequence[Update]]:
    """Updates by long poll; the next are asked for, and these confirmed, when more is wanted. `patience`: seconds that one request may wait.
    Raises Unauthenticated and Permanent."""
    log = structlog.get_logger(__name__)
    offset, wait, ready = None, FIRST, False
    while True:
        try:
            with told(bot.token):
                if not ready:
                    await bot.delete_webhook(drop_pending_updates=False)
                    ready = True
                asked = _Updates(offset=offset, timeout=patience, allowed_updates=KINDS)
                raw = await bot(asked, request_timeout=patience + 15)
        except Temporary as error:
            level = log.error if isinstance(error, Taken) else log.warning
            level("nothing is received", problem=error.message)
            await asyncio.sleep(error.delay if error.delay is not None else wait)
            wait = min(LONGEST, wait * 2)
            continue
        wait = FIRST
        if raw:
            yield read(bot, raw)
            offset = max(int(one["update_id"]) for one in raw) + 1


def secret(token: str) -> str:
    """What Telegram says with each call, so that nobody else is believed; the same after a restart."""
    return hmac.new(token.encode(), b"agenthost webhook", hashlib.sha256).hexdigest()


class Webhook:
    """Listens at `address` (`HOST:PORT`) for the calls of Telegram to `url`. A call is answered once what it brought was taken."""

    def __init__(self, bot: Bot, url: str, address: str) -> None:
        self._bot = bot
        self._url = url
        self._host, _, port = address.rpartition(":")
        if not url.startswith("https://") and not url.startswith("http://127.0.0.1"):
            raise BadInput(f"[telegram] webhook-url is '{url}'; Telegram calls only https:// addresses")
        if not self._host or not port.isdigit():
            raise BadInput(f"[telegram] webhook-listen is '{address}'; give it as ADDRESS:PORT, such as 127.0.0.1:8486")
        self._port = int(port)
        self._secret = secret(bot.token)
        self._came: asyncio.Queue[tuple[Update, asyncio.Future[None]]] = asyncio.Queue()

    async def updates(self) -> AsyncGenerator[Sequence[Update]]:
        """What is brought; its call is answered when more is wanted."""
        app = web.Application(client_max_size=_LONGEST_BODY)
        app.router.add_post("/{path:.*}", self._called)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, self._host, self._port).start()
            except OSError as error:
                raise BadInput(
                    f"[telegram] webhook-listen {self._host}:{self._port} can't be listened on: {error.strerror}"
                ) from error
            await self._register()
            while True:
                first = await self._came.get()
                came = [first, *(self._came.get_nowait() for _ in range(self._came.qsize()))]
                yield [update for update, _ in came]
                for _, done in came:
                    if not done.done():
                        done.set_result(None)
        finally:
            await runner.cleanup()

    async def _register(self) -> None:
        wait = FIRST
        while True:
            try:
                with told(self._bot.token):
                    await self._bot.set_webhook(
                        self._url, secret_token=self._secret, allowed_updates=KINDS, drop_pending_updates=False
                    )
                return
            except Temporary as error:
                structlog.get_logger(__name__).warning("the webhook isn't set", problem=error.message)
                await asyncio.sleep(error.delay if error.delay is not None else wait)
                wait = min(LONGEST, wait * 2)

    async def _called(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get(_HEADER, "").encode(), self._secret.encode()):
            return web.Response(status=401)
        try:
            raw = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except (msgspec.DecodeError, ValueError):
            return web.Response(status=400)
        read_ones = read(self._bot, [raw])
        if read_ones:
            done = asyncio.get_running_loop().create_future()
            self._came.put_nowait((read_ones[0], done))
            await done
        return web.Response()
