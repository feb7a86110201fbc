"""Idempotency-Key where something goes wrong: a disk without room, a host that dies in between, what is deleted afterwards."""

import asyncio
import time
from typing import Any

import pytest

from agenthost.core.access import Caller
from agenthost.core.errors import Temporary
from agenthost.core.keeping import ANSWERS_KEPT, KeptAnswer
from agenthost.core.ports import Filter
from agenthost.faces.http import erasure, webhooks
from agenthost.faces.http.app import Face, application
from tests.faces.rest.conftest import Served
from tests.host.conftest import ECHO, Opens

BODY = {"name": "echo", "text": "XYZZY-4711"}


def kept(served: Served) -> str:
    """All that is kept of answers."""
    store = served.host._adapters.store  # pyright: ignore[reportPrivateUsage]
    return str(store._writer.execute("SELECT * FROM given_answers").fetchall())  # pyright: ignore


async def test_work_whose_answer_could_not_be_kept_is_told_and_not_refused_for_a_day(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = served.host.keeping
    end, full = keeping.end_answer, [True]

    async def ended(key: str, answer: KeptAnswer | None) -> None:
        if full:
            raise Temporary("the disk is full", code="disk-full")
        await end(key, answer)

    monkeypatch.setattr(keeping, "end_answer", ended)
    first = await served.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k")
    assert first[0] == 201
    full.clear()
    again = await served.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k")
    assert (again[0], again[2]["id"]) == (201, first[2]["id"])
    assert len(await served.host.tasks(Filter())) == 1


async def test_what_a_host_that_died_was_answering_is_done_by_the_next_one_and_once(opens: Opens) -> None:
    first = Served(await opens())
    await first.host.apply({"echo.yaml": ECHO})
    await first.open()
    keeping = first.host.keeping

    async def dies(key: str, answer: KeptAnswer | None) -> None:
        await asyncio.Event().wait()

    keeping.end_answer = dies  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(first.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k"))
        while not await first.host.tasks(Filter()):
            await asyncio.sleep(0.01)
        asking.cancel()
    await first.host.close()
    second = Served(await opens())
    await second.open()
    again = await second.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k")
    assert again[0] == 201
    assert [row.id for row in await second.host.tasks(Filter())] == [again[2]["id"]]


async def test_no_answer_stays_of_a_task_that_is_deleted(served: Served) -> None:
    status, _, made = await served.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k")
    assert status == 201 and "XYZZY" in kept(served)
    async for _ in served.host.follow(made["id"]):
        pass
    await served.host.erasure.task(Caller(), made["id"], False)
    assert "XYZZY" not in kept(served) and made["id"] not in kept(served)
    # The key is free again.
    again = await served.ask("POST", "/api/v1/tasks", BODY, idempotency_key="k")
    assert again[0] == 201


async def test_no_answer_stays_of_a_person_who_is_deleted(served: Served) -> None:
    token = await served.person("ann", "user")
    status, _, _ = await served.ask("POST", "/api/v1/files", b"hello", token, idempotency_key="k")
    mine = await served.ask("POST", "/api/v1/files", b"mine", idempotency_key="k")
    assert status == mine[0] == 201 and kept(served) != "[]"
    await served.host.erasure.person(Caller(), "ann")
    again = await served.ask("POST", "/api/v1/files", b"mine", idempotency_key="k")
    assert again[1]["idempotency-replayed"] == "true"
    assert kept(served).count("sha256:") == 1


async def test_old_answers_go_also_where_nobody_asks_with_a_key_any_more(served: Served) -> None:
    await served.ask("POST", "/api/v1/files", b"hello", idempotency_key="k")
    sweep = served.host._keeper.sweep  # pyright: ignore[reportPrivateUsage]
    await sweep(time.time() + ANSWERS_KEPT / 2)
    assert kept(served) != "[]"
    await sweep(time.time() + ANSWERS_KEPT + 1)
    assert kept(served) == "[]"


async def test_the_secret_of_a_webhook_is_given_again_and_never_kept_in_the_clear(served: Served) -> None:
    faces = [Face(operations=(*webhooks.operations(served.host.webhooks), *erasure.operations(served.host.erasure)))]
    served.app = application(served.site, faces=faces)

    async def make(url: str) -> Any:
        return await served.ask("POST", "/api/v1/webhooks", {"url": url}, idempotency_key="k")

    first, again = await make("https://hook.example/x"), await make("https://hook.example/x")
    assert first[0] == again[0] == 201
    assert first[2]["secret"] == again[2]["secret"] and first[2]["id"] == again[2]["id"]
    assert first[2]["secret"] not in kept(served)
    assert (await make("https://hook.example/other"))[0] == 409
