"""What people do in a service, for the conformance suite: in memory, and at a Bot API."""

from pathlib import Path

from agenthost.core.channels import TelegramSettings
from agenthost.core.errors import Permanent, Temporary
from agenthost.outposts.channel.book import Book
from agenthost.outposts.channel.port import Attached, Channel
from agenthost.outposts.telegram.channel import TelegramChannel, bot_of
from agenthost.testing.channels import MemoryChannel
from agenthost.testing.telegram_api import BotApi, Fault, User

ANN = User(77, "Ann", "ann")
QUICK = TelegramSettings(every=0.0, rate=1000.0, group_rate=1000.0, allow=(77,))


class InMemory:
    here = "memory:1"

    def __init__(self) -> None:
        self.memory = MemoryChannel()
        self.channel: Channel = self.memory

    async def write(self, text: str) -> str:
        return self.memory.write(text).key

    async def attach(self, name: str, content: bytes) -> None:
        self.memory.blobs["f"] = content
        self.memory.write("", attached=(Attached("f", name),))

    async def press(self, id: str, data: str) -> None:
        self.memory.write("", reply_to=id, button=data, press="p")

    def texts(self) -> list[str]:
        return self.memory.texts()

    def files(self) -> list[bytes]:
        return [data for _, _, data in self.memory.shown if data]

    def replied(self, id: str) -> str:
        return self.memory.shown[int(id) - 1][1].reply_to

    def buttons(self, id: str) -> list[str]:
        return [] if id in self.memory.faded else [one.label for one in self.memory.shown[int(id) - 1][1].buttons]

    def slow(self, seconds: float) -> None:
        self.memory.faults.append(Temporary("slower", delay=seconds))

    def block(self) -> None:
        self.memory.faults.append(Permanent("blocked"))


class AtTelegram:
    here = "telegram:123456/77"

    def __init__(self, api: BotApi, channel: TelegramChannel) -> None:
        self.api = api
        self.channel: Channel = channel
        api.start(ANN)

    async def write(self, text: str) -> str:
        return str(self.api.write(ANN, text)["message_id"])

    async def attach(self, name: str, content: bytes) -> None:
        self.api.send_file(ANN, "document", content, name)

    async def press(self, id: str, data: str) -> None:
        self.api.press(ANN, self.api.state.chats[77].messages[int(id)], data)

    def texts(self) -> list[str]:
        return self.api.texts(77)

    def files(self) -> list[bytes]:
        return [self.api.state.files[one["document"]["file_id"]] for one in self.api.shown(77) if "document" in one]

    def replied(self, id: str) -> str:
        found = self.api.state.chats[77].messages[int(id)].get("reply_to_message")
        return str(found["message_id"]) if found else ""

    def buttons(self, id: str) -> list[str]:
        rows = self.api.state.chats[77].messages[int(id)].get("reply_markup", {}).get("inline_keyboard", [])
        return [button["text"] for row in rows for button in row]

    def slow(self, seconds: float) -> None:
        words = f"Too Many Requests: retry after {seconds:.0f}"
        self.api.fail(Fault("sendMessage", 1, "", 429, words, {"retry_after": int(seconds)}))

    def block(self) -> None:
        self.api.state.chats[77].gone = "bot was blocked by the user"


async def at_telegram(api: BotApi, book: Book, settings: TelegramSettings = QUICK) -> TelegramChannel:
    """A channel that is open, at that Bot API."""
    import msgspec

    settings = msgspec.structs.replace(settings, api_url=api.url)
    channel = TelegramChannel(bot_of(settings, api.token), settings, book, 1)
    await channel.open()
    return channel


def book_at(folder: Path) -> Book:
    return Book(folder / "outposts" / "book.sqlite")
