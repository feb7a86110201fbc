"""What the Bot API knows: people, chats, messages, updates, files."""

import asyncio
import collections
import itertools
import time
from typing import Any

from msgspec import Struct, field

Json = dict[str, Any]


class Refused(Exception):
    """An answer with `ok: false`."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


class User(Struct, frozen=True):
    """A person, with a private chat of the same id."""

    id: int
    first: str = "Ann"
    username: str = ""

    def told(self) -> Json:
        """As the API says it."""
        made: Json = {"id": self.id, "is_bot": False, "first_name": self.first}
        return made | ({"username": self.username} if self.username else {})


class Fault(Struct):
    """What goes wrong with the next `times` calls of a method (empty: of any; in a chat, 0: in any). `cut`: the connection is closed, `before` or `after` it was done, or it was done and nothing is
    answered (`silent`); else it is refused with `status` and what it says."""

    method: str = ""
    times: int = 1
    cut: str = ""
    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, int] = field(default_factory=dict[str, int])
    chat: int = 0


class Chat(Struct):
    """`gone`: why nothing may be sent there; `moved`: the id that it has by now."""

    id: int
    kind: str = "private"
    title: str = ""
    topics: bool = False
    gone: str = ""
    moved: int = 0
    last: int = 0
    messages: dict[int, Json] = field(default_factory=dict[int, Json])

    def told(self) -> Json:
        """As the API says it."""
        return {"id": self.id, "type": self.kind} | ({"title": self.title} if self.title else {"first_name": "Ann"})


class Limits(Struct):
    """The speed that is allowed: messages a second in a chat (with so many at once), a minute in a group, a second in all."""

    chat: float = 1.0
    burst: int = 3
    group: int = 20
    all: int = 30


class State:
    """All of it. `changed` is set when something has come for the bot."""

    def __init__(self, token: str, username: str) -> None:
        self.token = token
        self.me: Json = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "Bot", "username": username}
        self.me |= {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        self.chats: dict[int, Chat] = {}
        self.updates: list[Json] = []
        self.allowed: list[str] = []
        self.files: dict[str, bytes] = {}
        self.presses: dict[str, float] = {}
        self.answered: list[str] = []
        self.actions: list[tuple[int, str]] = []
        self.commands: list[Json] = []
        self.calls: list[tuple[str, Json]] = []
        self.faults: list[Fault] = []
        self.webhook: Json = {}
        self.limits: Limits | None = None
        self.changed = asyncio.Event()
        self._sent: dict[int, collections.deque[float]] = {}
        self._ids = itertools.count(1)
        self._updates = itertools.count(1000)

    def number(self) -> int:
        """The next number of whatever needs one."""
        return next(self._ids)

    def chat(self, id: int) -> Chat:
        """A chat that is there. Raises Refused as Telegram does."""
        found = self.chats.get(id)
        if found is None:
            raise Refused(400, "Bad Request: chat not found")
        if found.moved:
            raise Refused(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=found.moved
            )
        if found.gone:
            raise Refused(403, f"Forbidden: {found.gone}")
        return found

    def update(self, kind: str, body: Json) -> Json:
        """Something for the bot: it stays until it is confirmed."""
        made = {"update_id": next(self._updates), kind: body}
        if not self.allowed or kind in self.allowed:
            self.updates.append(made)
        self.changed.set()
        return made

    def file(self, content: bytes) -> Json:
        """Keep a file; how the API names it."""
        id = f"file{self.number()}"
        self.files[id] = content
        return {"file_id": id, "file_unique_id": f"u{id}", "file_size": len(content)}

    def post(self, chat: Chat, sender: Json, fields: Json) -> Json:
        """A message, with the next number of its chat."""
        chat.last += 1
        made = {"message_id": chat.last, "date": int(time.time()), "chat": chat.told(), "from": sender} | fields
        chat.messages[chat.last] = made
        return made

    def pace(self, chat: Chat) -> None:
        """Raises Refused (429) where more is sent than is allowed."""
        if self.limits is None:
            return
        now, limits = time.monotonic(), self.limits
        everywhere = self._sent.setdefault(0, collections.deque(maxlen=1000))
        here = self._sent.setdefault(chat.id, collections.deque(maxlen=1000))
        spells = [(here, limits.burst / limits.chat, limits.burst), (everywhere, 1.0, limits.all)]
        if chat.kind != "private":
            spells.append((here, 60.0, limits.group))
        for sent, seconds, most in spells:
            within = [at for at in sent if at > now - seconds]
            if len(within) >= most:
                wait = int(within[0] + seconds - now) + 1
                raise Refused(429, f"Too Many Requests: retry after {wait}", retry_after=wait)
        here.append(now)
        everywhere.append(now)
