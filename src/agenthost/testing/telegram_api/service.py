"""The Bot API over HTTP: calls, long polls, files, webhooks; and `BotApi`, by which a test starts it and acts as people do."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from agenthost.testing.telegram_api import checking
from agenthost.testing.telegram_api.methods import Files, Methods
from agenthost.testing.telegram_api.state import Chat, Fault, Json, Refused, State, User

SILENT = 30.0
"""Seconds for which a call waits that is never answered."""
SECRET = "X-Telegram-Bot-Api-Secret-Token"
_TOKEN = "123456:fake-token-of-a-bot-for-tests-0001"


class Telephone:
    """What people do."""

    def __init__(self, state: State) -> None:
        self.state = state

    def start(self, user: User) -> Chat:
        """A person begins to talk with the bot."""
        return self.state.chats.setdefault(user.id, Chat(user.id))

    def group(self, id: int, topics: bool = False) -> Chat:
        """A group of people with the bot in it."""
        kind = "supergroup" if topics or id < -1_000_000_000_000 else "group"
        return self.state.chats.setdefault(id, Chat(id, kind, "A group", topics))

    def write(self, user: User, text: str = "", chat: Chat | None = None, reply_to: int = 0, **fields: Any) -> Json:
        """A message; its body. `fields` are further fields of the API's Message."""
        where = chat or self.start(user)
        body: Json = dict(fields)
        if text:
            body |= {"text": text, "entities": _entities(text)}
        if "caption" in body:
            body["caption_entities"] = _entities(body["caption"])
        if reply_to:
            shown = where.messages[reply_to]
            body["reply_to_message"] = {key: shown[key] for key in shown if key != "reply_to_message"}
        made = self.state.post(where, user.told(), body)
        self.state.update("message", made)
        return made

    def send_file(self, user: User, kind: str, content: bytes, name: str = "", **fields: Any) -> Json:
        """A message with a file: photo, document, voice, audio, video."""
        file = self.state.file(content) | ({"file_name": name} if name else {})
        if kind == "photo":
            body: Any = [file | {"width": 10, "height": 10}, file | {"width": 90, "height": 90}]
        elif kind in ("voice", "audio"):
            body = file | {"duration": 2, "mime_type": "audio/ogg" if kind == "voice" else "audio/mpeg"}
        elif kind == "video":
            body = file | {"duration": 2, "width": 90, "height": 90, "mime_type": "video/mp4"}
        else:
            body = file
        return self.write(user, **{kind: body}, **fields)

    def edit(self, user: User, message: Json, text: str) -> Json:
        """Other words for a message."""
        message |= {"text": text, "entities": _entities(text), "edit_date": int(time.time())}
        self.state.update("edited_message", dict(message))
        return message

    def press(self, user: User, message: Json, data: str) -> str:
        """A button; the id of the press."""
        id = f"press{self.state.number()}"
        self.state.presses[id] = time.time()
        body = {"id": id, "from": user.told(), "message": dict(message), "chat_instance": "1", "data": data}
        self.state.update("callback_query", body)
        return id

    def upgrade(self, chat: Chat, new: int, user: User) -> Chat:
        """A group becomes a supergroup, which counts its messages anew."""
        made = self.state.chats[new] = Chat(new, "supergroup", chat.title)
        self.state.update("message", self.state.post(chat, user.told(), {"migrate_to_chat_id": new}))
        chat.moved = new
        return made

    def shown(self, chat: int) -> list[Json]:
        """What the bot has sent to a chat, in order."""
        found = self.state.chats.get(chat)
        me = self.state.me["id"]
        return [one for one in found.messages.values() if one["from"]["id"] == me] if found else []

    def texts(self, chat: int) -> list[str]:
        """The texts among it."""
        return [str(one["text"]) for one in self.shown(chat) if "text" in one]


class BotApi(Telephone):
    """See the module `telegram_api`. `start` listens (again, at the same port), `stop` goes away as a machine that is switched off. `latency`: seconds
    between a message's being sent and the answer that it was."""

    def __init__(self, token: str = _TOKEN, username: str = "agenthost_bot") -> None:
        super().__init__(State(token, username))
        self.token = token
        self.url = ""
        self.latency = 0.0
        self._port = 0
        self._methods = Methods(self.state)
        self._runner: web.AppRunner | None = None
        self._poll: asyncio.Future[None] | None = None
        self._pushing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "BotApi":
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self) -> None:
        """Be there."""
        app = web.Application(client_max_size=60 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._pushing = asyncio.get_running_loop().create_task(self._push())

    async def stop(self) -> None:
        """Be away."""
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
        if self._poll is not None and not self._poll.done():
            self._poll.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def fail(self, fault: Fault) -> None:
        """Something goes wrong with the next calls."""
        self.state.faults.append(fault)

    # --- calls ---

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return _answer(Refused(401, "Unauthorized"))
        given, files = await _read(request)
        self.state.calls.append((method, given))
        fault = self._fault(method, given)
        if fault is not None and fault.cut not in ("after", "silent"):
            if fault.cut == "before":
                return _cut(request)
            return _answer(Refused(fault.status, fault.description, **fault.parameters))
        try:
            result = await self._do(method, given, files)
        except Refused as error:
            return _answer(error)
        except (KeyError, ValueError, TypeError) as error:
            return _answer(Refused(400, f"Bad Request: {error}"))
        if fault is not None:
            if fault.cut == "silent":
                await asyncio.sleep(SILENT)
            return _cut(request)
        if self.latency and method.startswith("send"):
            await asyncio.sleep(self.latency)
        return web.json_response({"ok": True, "result": result})

    async def _do(self, method: str, given: Json, files: Files) -> Any:
        own: dict[str, Callable[[Json], Awaitable[Any]]] = {
            "getupdates": self._get_updates,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._webhook_info,
        }
        if (ours := own.get(method.lower())) is not None:
            return await ours(given)
        found = self._methods.named(method)
        if found is None:
            raise Refused(404, "Not Found: method not found")
        return found(given, files)

    def _fault(self, method: str, given: Json) -> Fault | None:
        chat = str(given.get("chat_id", ""))
        for fault in self.state.faults:
            if fault.method.lower() in ("", method.lower()) and (not fault.chat or str(fault.chat) == chat):
                fault.times -= 1
                if fault.times <= 0:
                    self.state.faults.remove(fault)
                return fault
        return None

    async def _get_updates(self, given: Json) -> list[Json]:
        state = self.state
        if state.webhook:
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            )
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(
                Refused(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            )
        if "allowed_updates" in given:
            state.allowed = checking.value(given["allowed_updates"])
        offset, limit = int(given.get("offset", 0)), min(100, max(1, int(given.get("limit", 100))))
        if offset < 0:
            state.updates[:] = state.updates[offset:]
        elif offset:
            state.updates[:] = [one for one in state.updates if one["update_id"] >= offset]
        mine = self._poll = asyncio.get_running_loop().create_future()
        until = time.monotonic() + int(given.get("timeout", 0))
        try:
            while not state.updates and (left := until - time.monotonic()) > 0:
                state.changed.clear()
                waking = asyncio.get_running_loop().create_task(state.changed.wait())
                await asyncio.wait({waking, mine}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                if mine.done():
                    mine.result()
        finally:
            if mine.done() and not mine.cancelled():
                mine.exception()
            if self._poll is mine:
                self._poll = None
        return state.updates[:limit]

    # --- webhooks ---

    async def _set_webhook(self, given: Json) -> bool:
        url = str(given.get("url", ""))
        if url and not url.startswith(("https://", "http://127.0.0.1")):  # Telegram itself takes https alone
            raise Refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if "allowed_updates" in given:
            self.state.allowed = checking.value(given["allowed_updates"])
        if checking.value(given.get("drop_pending_updates", False)) is True:
            self.state.updates.clear()
        self.state.webhook = {"url": url, "secret": str(given.get("secret_token", ""))} if url else {}
        self.state.changed.set()
        return True

    async def _delete_webhook(self, given: Json) -> bool:
        return await self._set_webhook(given | {"url": ""})

    async def _webhook_info(self, given: Json) -> Json:
        waiting = len(self.state.updates)
        return {
            "url": self.state.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": waiting,
        }

    async def _push(self) -> None:
        """Bring updates to the webhook: those of a chat one after another, each until it is answered with 2xx."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
            asyncio.TaskGroup() as group,
        ):
            going: dict[int, asyncio.Task[None]] = {}
            while True:
                await asyncio.sleep(0.02)
                for update in self.state.updates if self.state.webhook else ():
                    chat = _chat_of(update)
                    if chat not in going or going[chat].done():
                        going[chat] = group.create_task(self._push_one(session, update))

    async def _push_one(self, session: aiohttp.ClientSession, update: Json) -> None:
        headers = {SECRET: self.state.webhook["secret"]} if self.state.webhook.get("secret") else {}
        try:
            async with session.post(self.state.webhook["url"], json=update, headers=headers) as answer:
                taken = 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            taken = False
        if taken:
            self.state.updates[:] = [one for one in self.state.updates if one is not update]
        else:
            await asyncio.sleep(0.1)

    async def _download(self, request: web.Request) -> web.Response:
        content = self.state.files.get(request.match_info["path"].rpartition("/")[2])
        if request.match_info["token"] != self.token or content is None:
            return _answer(Refused(404, "Not Found"))
        fault = self._fault("download", {})
        return _answer(Refused(fault.status, fault.description)) if fault is not None else web.Response(body=content)


def _chat_of(update: Json) -> int:
    body = next(value for key, value in update.items() if key != "update_id")
    return int((body.get("message") or body)["chat"]["id"])


def _entities(text: str) -> list[Json]:
    """Commands and names in a text, as Telegram marks them."""
    found: list[Json] = []
    at = 0
    for word in text.split(" "):
        length = checking.units(word.rstrip(".,!?:"))
        if word.startswith("/") and at == 0:
            found.append({"type": "bot_command", "offset": 0, "length": length})
        elif word.startswith("@") and length > 1:
            found.append({"type": "mention", "offset": at, "length": length})
        at += checking.units(word) + 1
    return found


def _answer(error: Refused) -> web.Response:
    body: Json = {"ok": False, "error_code": error.status, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    return web.json_response(body, status=error.status)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _read(request: web.Request) -> tuple[Json, Files]:
    given: Json = dict(request.query)
    files: Files = {}
    if request.content_type == "application/json":
        return given | await request.json(), files
    for key, sent in (await request.post()).items():
        if isinstance(sent, web.FileField):
            files[key] = (sent.filename, sent.file.read())
        else:
            given[key] = sent
    return given, files
