"""Every example of the API's description is sent to a host, and answered as the description says."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import urlencode

import jsonschema
import pytest

from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import Linked, Order
from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.faces.http.app import application, table
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.openapi import document
from agenthost.faces.http.operations import PLACES, Operation
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import Closing
from agenthost.testing.administration import administration
from agenthost.testing.memory_host import MemoryHost
from agenthost.testing.offering import offering
from tests.faces.asgi import told

SITE = Site(Everybody(MemoryHost()), Closing())
OPERATIONS = table(SITE)
DOCUMENT = json.loads(json.dumps(document(OPERATIONS)))


class Doorkeeper(Everybody):
    """Knows links, too."""

    def __init__(self, host: MemoryHost, admin: Administration) -> None:
        super().__init__(host, admin)
        self.host = host

    async def linked(self, secret: str, address: str) -> tuple[Caller, Linked]:
        return Caller(), self.host.links[secret]


class World:
    """A host with one of everything that an example may be about."""

    def __init__(self, api: MemoryHost, admin: Administration) -> None:
        self.api = api
        self.app = application(Site(Doorkeeper(api, admin), Closing()))

    async def named(self, body: str) -> str:
        """A body whose names of a provider's things are those of things that are there."""
        offered = self.api.offers["offering"]
        if '"file-1"' in body:
            body = body.replace("file-1", (await offered.put_file("a.txt", b"a", "user_data")).id)
        if '"batch-1"' in body:
            turn = Turn("user", (TextPart("hi"),))
            body = body.replace("batch-1", (await offered.start_batch({"a": ModelRequest("m", "", (turn,))})).id)
        return body

    async def places(self, operation: Operation) -> dict[str, str]:
        example = operation.example
        names = {"ended": "quick", "asking": "asking", "slow": "slow", "paused": "slow"}
        row = await self.api.start(Order(names[example.of], "hello"))
        if example.of == "ended":
            async with aclosing(cast("Any", self.api.follow(row.id))) as items:
                async for _ in items:
                    pass
        if example.of == "paused":
            await self.api.pause(row.id)
        kept = await self.api.put_file("a.txt", b"a text of some length", "text/plain")
        for kind in ("agent", "workflow", "schedule"):
            for name in ("spare", f"spare-{kind}"):
                await self.api.apply({"spare.yaml": f"kind: {kind.capitalize()}\nmetadata: {{name: {name}}}\n"})
        self.api.artifacts_of[row.id] = {"report.txt": kept.digest}
        return {
            "task": row.id,
            "secret": await self.api.link(Linked(kept.digest, 9e9)),
            "path": "report.txt",
            "number": "1",
            "digest": kept.digest,
            "name": "coder",
            **example.places,
        }


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    api = MemoryHost()
    async with offering(api.get_file) as offered:
        api.offers["offering"] = offered
        api.offers["default"] = offered
        yield World(api, await administration())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
async def test_an_example_is_answered_as_described(world: World, operation: Operation) -> None:
    example = operation.example
    places = await world.places(operation)
    path = operation.whole
    for name, value in places.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, "a path parameter without an example"
    body = example.content if example.content is not None else b""
    headers = dict(example.headers)
    if example.body is not None:
        body, headers = (
            (await world.named(json.dumps(example.body))).encode(),
            headers | {"Content-Type": "application/json"},
        )
    status, found, content = await told(world.app, operation.method, path, urlencode(example.query), headers, body)

    assert status == (example.status or operation.answers[0].status), content
    described = DOCUMENT["paths"][operation.whole][operation.method.lower()]["responses"][str(status)].get(
        "content", {}
    )
    media = found.get("content-type", "")
    assert media.partition(";")[0] in {each.partition(";")[0] for each in described} or (not described and not content)
    if media == "application/json":
        schema = described[media].get("schema", {}) | {"components": DOCUMENT["components"]}
        jsonschema.validate(json.loads(content), schema, cls=jsonschema.Draft202012Validator)


def test_every_operation_has_a_name_of_its_own_and_a_body_an_example() -> None:
    names = [operation.id for operation in OPERATIONS]
    assert len(names) == len(set(names))
    for operation in OPERATIONS:
        if operation.body is not None and operation.body.required:
            assert operation.example.body is not None or operation.example.content is not None, operation.id


def test_the_parameters_of_every_path_are_described() -> None:
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.whole][operation.method.lower()].get("parameters", [])
        named = {each["name"] for each in described if each["in"] == "path"}
        assert all("{" + name + "}" in operation.whole for name in named)
        assert operation.whole.count("{") == len(named)
        assert named <= PLACES.keys() | operation.places.keys()
