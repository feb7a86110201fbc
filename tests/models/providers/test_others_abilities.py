"""Embeddings and lists of models of other providers through their own SDKs: what comes, and one attempt each."""

from typing import Any

import pytest
from aiohttp import web

from agenthost.core.errors import Permanent, Temporary, Unavailable
from agenthost.models.providers.abilities import embeds
from agenthost.models.providers.model import ProviderModel
from agenthost.models.providers.names import KEYS
from tests.models.providers.conftest import KEY, Desk

NAMES = ["one", "two"]
VECTORS = [[0.5, 0.25], [0.25, 0.5]]

EMBEDDINGS: dict[str, tuple[str, str, Any]] = {
    "moonshotai": (
        "/v1",
        "/v1/embeddings",
        {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(VECTORS)],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        },
    ),
    "cohere": (
        "",
        "/v2/embed",
        {"id": "1", "embeddings": {"float": VECTORS}, "texts": [], "meta": {"billed_units": {"input_tokens": 7}}},
    ),
    "google": ("", "/v1beta/models/m:batchEmbedContents", {"embeddings": [{"values": vector} for vector in VECTORS]}),
}
"""By provider: the address below the server's, the path that is asked, what it answers."""

LISTS: dict[str, tuple[str, str, Any]] = {
    "moonshotai": ("/v1", "/v1/models", {"object": "list", "data": [{"id": name} for name in NAMES]}),
    "groq": ("", "/openai/v1/models", {"object": "list", "data": [{"id": name} for name in NAMES]}),
    "mistral": ("", "/v1/models", {"object": "list", "data": []}),
    "anthropic": ("", "/v1/models", {"data": [{"id": name} for name in NAMES], "has_more": False}),
    "cohere": ("", "/v1/models", {"models": [{"name": name} for name in NAMES]}),
    "google": ("", "/v1beta/models", {"models": [{"name": f"models/{name}"} for name in NAMES]}),
}


class Stub:
    """A server that answers one path with one thing, and counts."""

    def __init__(self, path: str, body: Any, status: int = 200) -> None:
        self.heard: list[str] = []

        async def handle(request: web.Request) -> web.Response:
            self.heard.append(request.path)
            if request.path != path:
                return web.json_response({"error": {"message": "Not here"}}, status=404)
            assert KEY in str(request.headers)
            return web.json_response(body, status=status)

        self.application = web.Application()
        self.application.router.add_route("*", "/{path:.*}", handle)


async def stubbed(desk: Desk, kind: str, given: tuple[str, str, Any], status: int = 200) -> tuple[ProviderModel, Stub]:
    below, path, body = given
    stub = Stub(path, body if status == 200 else {"error": {"message": "Later", "code": status}}, status)
    return desk.model(kind, await desk.serve(stub.application) + below), stub


@pytest.mark.parametrize("kind", EMBEDDINGS)
async def test_every_text_has_its_vector(desk: Desk, kind: str) -> None:
    model, stub = await stubbed(desk, kind, EMBEDDINGS[kind])
    found = await model.abilities().embed(["first text", "second text"])
    assert found.vectors == tuple(map(tuple, VECTORS)) and stub.heard == [EMBEDDINGS[kind][1]]
    assert found.usage.input == (7 if kind != "google" else 6)  # Gemini doesn't count: a token for four bytes


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_embeddings_that_fail_are_asked_for_once(desk: Desk, kind: str, status: int) -> None:
    model, stub = await stubbed(desk, kind, EMBEDDINGS[kind], status)
    with pytest.raises(Temporary):
        await model.abilities().embed(["a", "b"])
    assert len(stub.heard) == 1


@pytest.mark.parametrize("kind", LISTS)
async def test_the_models_of_a_provider_are_listed(desk: Desk, kind: str) -> None:
    model, stub = await stubbed(desk, kind, LISTS[kind])
    assert await model.offered() == (NAMES if kind != "mistral" else [])
    assert stub.heard == [LISTS[kind][1]]


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_list_that_fails_is_asked_for_once(desk: Desk, kind: str, status: int) -> None:
    model, stub = await stubbed(desk, kind, LISTS[kind], status)
    with pytest.raises(Temporary):
        await model.offered()
    assert len(stub.heard) == 1


@pytest.mark.parametrize("kind", LISTS)
async def test_a_refused_key_and_a_missing_list_say_what_to_set(desk: Desk, kind: str) -> None:
    model, _ = await stubbed(desk, kind, LISTS[kind], 401)
    with pytest.raises(Permanent, match="refused the key. Set ACME_KEY"):
        await model.offered()
    model, _ = await stubbed(desk, kind, (LISTS[kind][0], "/nowhere", {}))
    with pytest.raises(Unavailable, match="has no list of models here"):
        await model.offered()


async def test_what_a_provider_lacks_is_said_before_anything_is_sent(desk: Desk) -> None:
    model, stub = await stubbed(desk, "anthropic", LISTS["anthropic"])
    with pytest.raises(Unavailable, match="'anthropic:m' has no embeddings here. Name another model"):
        await model.abilities().embed(["a"])
    assert stub.heard == [] and {embeds(kind) for kind in KEYS} == {"yes", "maybe", "no"}
