"""Tools that other models do: over the real wire, with what they cost, and where they can't be had."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.errors import Temporary, Unavailable
from agenthost.core.ports import Tool
from agenthost.core.tools import ToolResult
from agenthost.models.catalog import Catalog
from agenthost.models.playbook import Fail, as_playbook
from agenthost.models.settings import ModelSettings
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.stores.tree import WorkspaceLimits
from agenthost.stores.workspaces import FolderWorkspaces
from agenthost.testing.models import PICTURE
from agenthost.testing.openai_server.offers import Offers
from agenthost.testing.openai_server.service import Service, serving
from agenthost.testing.tools import PlainContext, ToolSuite
from agenthost.tools.media import media_tools
from agenthost.tools.registry import ToolRegistry

ALL = ["draw", "speak", "transcribe", "moderate"]
PRICES = {"image_price": 0.5, "character_price": 15.0, "minute_price": 0.6, "input_price": 1.0, "output_price": 2.0}


class Desk:
    """The tools of a host whose provider is `offers`, and a workspace."""

    def __init__(self, context: PlainContext, stack: AsyncExitStack) -> None:
        self.context = context
        self._stack = stack
        self.registry = ToolRegistry()

    async def join(self, offers: Offers | None = None, card: dict[str, Any] | None = None, **models: str) -> None:
        """Settle on a provider; every tool has the model `m` but those that `models` says otherwise of."""
        service = Service(as_playbook({"rules": [{"reply": {"text": "Hello."}}]}), offers=offers or Offers())
        url = await self._stack.enter_async_context(serving(service.application()))
        settings = {
            "providers": {"acme": {"base-url": f"{url}/v1"}},
            "names": {"m": {"model": "acme:whisper", "card": PRICES if card is None else card}},
        }

        async def secret(name: str) -> str | None:
            return None

        found = Catalog(msgspec.convert(settings, ModelSettings), self.context.blobs.get, {}, secret)
        self._stack.push_async_callback(found.close)
        self.registry = ToolRegistry(others=media_tools(found.abilities, dict.fromkeys(ALL, "m") | models))

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        return await self.registry.tool(name).call(arguments, self.context)


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[PlainContext]:
    blobs = MemoryBlobs()
    workspaces = FolderWorkspaces(tmp_path, blobs, WorkspaceLimits(files=2000, file=1_000_000))
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    yield PlainContext(workspace, blobs)
    await workspaces.close()


@pytest.fixture
async def desk(context: PlainContext) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        made = Desk(context, stack)
        await made.join()
        yield made


class TestEachTool(ToolSuite):
    @pytest.fixture(params=ALL)
    def tool(self, request: pytest.FixtureRequest, desk: Desk) -> Tool:
        return desk.registry.tool(request.param)

    async def test_what_makes_something_for_money_is_not_repeated_after_a_crash(self, tool: Tool) -> None:
        assert tool.spec.repeatable == (tool.spec.name in ("transcribe", "moderate"))
        assert await tool.check("key", {}) is None


async def test_they_are_tools_of_their_own_beside_the_group(desk: Desk) -> None:
    assert set(ALL) < set(desk.registry.names())
    assert not set(ALL) & {tool.spec.name for tool in desk.registry.expand("workspace")}


async def test_a_picture_is_drawn_into_a_file_and_changed(desk: Desk) -> None:
    drawn = await desk.call("draw", prompt="a cat", path="art/cat.png", size="16x16")
    assert drawn.text.startswith("Wrote art/cat.png (image/png, ") and "A drawing: a cat" in drawn.text
    assert (await desk.context.workspace.read("art/cat.png")).startswith(b"\x89PNG")
    # A picture, as many tokens as that pays for, and five letters of a prompt.
    assert desk.context.reserved == [("m", pytest.approx(0.500005), 250_005)]
    assert drawn.cost == pytest.approx((2 + 272 * 2) / 1e6)
    changed = await desk.call("draw", prompt="a dog", path="dog.png", images=["art/cat.png"])
    assert not changed.error and await desk.context.workspace.read("dog.png")


async def test_what_is_spoken_is_heard_again_and_counted(desk: Desk) -> None:
    spoken = await desk.call("speak", text="hello there", path="hello.wav", voice="nova")
    assert not spoken.error and spoken.cost == pytest.approx(11 * 15 / 1e6)
    heard = await desk.call("transcribe", path="hello.wav", language="en")
    assert heard.text == "hello there" and heard.cost == pytest.approx(1.1 / 60 * 0.6)
    size = len(await desk.context.workspace.read("hello.wav"))
    assert desk.context.reserved == [("m", pytest.approx(11 * 15 / 1e6), 0), ("m", pytest.approx(size / 75_000), 0)]


async def test_what_is_heard_by_tokens_is_reserved_by_the_window_and_paid_as_counted(desk: Desk) -> None:
    await desk.join(transcribe="acme:gpt-4o-transcribe")
    await desk.context.workspace.write("a.wav", b"RIFF" + b"\0" * 40 + b"hello")
    heard = await desk.call("transcribe", path="a.wav")
    assert desk.context.reserved == [("acme:gpt-4o-transcribe", pytest.approx((16_000 * 6 + 2_000 * 10) / 1e6), 18_000)]
    assert heard.text == "hello" and heard.tokens == 19 and heard.cost == pytest.approx((14 * 6 + 5 * 10) / 1e6)


async def test_words_and_pictures_are_judged(desk: Desk) -> None:
    await desk.context.workspace.write("a.png", PICTURE)
    good = await desk.call("moderate", text="peace", images=["a.png"])
    bad = await desk.call("moderate", text="harm")
    assert good.text.startswith("Not harmful.\n") and bad.text.startswith("Harmful.\nviolence: 0.970")
    assert good.cost is not None and bad.cost is not None and good.cost > bad.cost > 0


async def test_a_price_that_is_unknown_is_reserved_as_unknown(desk: Desk) -> None:
    await desk.join(card={})
    await desk.call("speak", text="hello", path="a.wav")
    await desk.call("transcribe", path="a.wav")
    await desk.call("draw", prompt="a", path="a.png")
    await desk.call("moderate", text="a")
    assert [cost for _, cost, _ in desk.context.reserved] == [None] * 4


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("speak", {"text": "a", "path": "a.txt"}, "mp3"),
        ("transcribe", {"path": "a.txt"}, ".wav"),
        ("transcribe", {"path": "none.wav"}, "none.wav"),
        ("draw", {"prompt": "a", "path": "b.png", "images": ["a.txt"]}, ".png"),
        ("moderate", {}, "`text` or `images`"),
    ],
)
async def test_what_the_model_did_wrong_is_told_to_it_and_costs_nothing(
    desk: Desk, name: str, arguments: dict[str, Any], told: str
) -> None:
    result = await desk.call(name, **arguments)
    assert result.error and told in result.text and desk.context.reserved == [] and result.cost == 0.0


async def test_a_place_that_cannot_be_written_is_told_with_what_was_spent(desk: Desk) -> None:
    result = await desk.call("draw", prompt="a", path="../a.png")
    assert result.error and result.cost


async def test_a_request_that_the_provider_refuses_is_told_and_costs_nothing(desk: Desk) -> None:
    await desk.join(Offers(troubles={"images/generations": [Fail("bad-request")]}))
    result = await desk.call("draw", prompt="a", path="a.png")
    assert result.error and result.cost == 0.0 and "refused" in result.text


async def test_what_may_work_later_and_what_is_missing_go_past_the_model(desk: Desk) -> None:
    await desk.join(Offers(absent=("audio",), troubles={"images/generations": [Fail("overloaded")]}), moderate="")
    with pytest.raises(Temporary):
        await desk.call("draw", prompt="a", path="a.png")
    with pytest.raises(Unavailable, match="has no speech"):
        await desk.call("speak", text="a", path="a.mp3")
    with pytest.raises(Unavailable, match=r"`moderate` in \[models.for\]"):
        await desk.call("moderate", text="a")
