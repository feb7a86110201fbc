from pathlib import Path

import pytest

from agenthost.core.errors import NotFound
from agenthost.host.library import Library
from agenthost.models.catalog import Catalog
from agenthost.models.settings import ModelSettings, ProviderSettings
from agenthost.stores.memory import MemoryStore
from agenthost.tools.registry import ToolRegistry

AGENT = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec: {{model: here:tiny, instructions: {said}, tools: [{tools}]}}
"""


def written(name: str, said: str = "Work.", tools: str = "workspace") -> dict[str, str]:
    return {f"{name}.yaml": AGENT.format(name=name, said=said, tools=tools)}


@pytest.fixture
async def library(tmp_path: Path) -> Library:
    store = MemoryStore()
    await store.open()
    here = ProviderSettings(base_url="http://127.0.0.1:9/v1", api_key="none")

    async def nothing(name: str) -> bytes:
        raise NotFound(name)

    async def unknown(name: str) -> None:
        return None

    models = Catalog(ModelSettings(providers={"here": here}), read=nothing, environ={}, secret=unknown)
    return Library(store, models, ToolRegistry())


async def test_the_same_definitions_are_pinned_once_and_changed_ones_anew(library: Library) -> None:
    assert (await library.apply(written("boss", tools="delegate:hand") | written("hand"), 0.0))[1] == []
    first = await library.pin("agent", "boss", "")
    assert await library.pin("agent", "boss", "") == first
    # What it can reach counts too, and not only the agent itself.
    await library.apply(written("hand", said="Work better."), 1.0)
    second = await library.pin("agent", "boss", "")
    assert second != first
    await library.apply(written("hand"), 2.0)
    assert await library.pin("agent", "boss", "") == first
    bundle = await library.bundle(second)
    assert bundle.agents["hand"].manifest.spec.instructions == "Work better."
    assert [tool.name for tool in bundle.agents["hand"].tools["workspace"]]
    assert bundle.agents["boss"].tools == {}


async def test_what_is_gone_is_not_pinned_from_memory(library: Library) -> None:
    await library.apply(written("hand"), 0.0)
    await library.pin("agent", "hand", "")
    await library.delete("agent", "hand")
    with pytest.raises(NotFound):
        await library.pin("agent", "hand", "")
