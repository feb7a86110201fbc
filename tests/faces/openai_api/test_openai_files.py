"""Files through the official Python package, against a real host."""

import time
from typing import Any

import httpx
import openai
import pytest

from agenthost.core.access import Caller
from agenthost.core.errors import NotFound
from agenthost.core.events import Created
from agenthost.core.parts import FilePart
from tests.faces.openai_api.conftest import PICTURE, Bench, somebody

NOTES = b"remember the milk"


async def test_a_file_is_given_listed_read_and_deleted(bench: Bench) -> None:
    made = await bench.client.files.create(file=("notes.txt", NOTES), purpose="user_data")
    assert (made.object, made.filename, made.bytes, made.purpose, made.status) == (
        "file",
        "notes.txt",
        len(NOTES),
        "user_data",
        "processed",
    )
    assert made.id.startswith("file-") and abs(made.created_at - time.time()) < 60 and made.expires_at is None
    assert await bench.client.files.retrieve(made.id) == made
    assert (await bench.client.files.wait_for_processing(made.id)) == made
    content = await bench.client.files.content(made.id)
    assert content.content == NOTES
    assert [file async for file in bench.client.files.list()] == [made]
    gone = await bench.client.files.delete(made.id)
    assert gone.deleted and gone.id == made.id
    for call in (
        bench.client.files.retrieve(made.id),
        bench.client.files.content(made.id),
        bench.client.files.delete(made.id),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            await call
        assert missing.value.code == "file_not_found"
    assert [file async for file in bench.client.files.list()] == []


async def test_files_come_in_pages_by_purpose_and_in_either_order(bench: Bench) -> None:
    for number in range(5):
        purpose: Any = "vision" if number == 3 else "assistants"
        await bench.client.files.create(file=(f"{number}.txt", str(number).encode()), purpose=purpose)
    page = await bench.client.files.list(limit=2)
    assert [file.filename for file in page.data] == ["4.txt", "3.txt"] and page.has_more
    assert [file.filename async for file in bench.client.files.list(limit=2)] == [f"{at}.txt" for at in (4, 3, 2, 1, 0)]
    up = [file.filename async for file in bench.client.files.list(limit=2, order="asc", purpose="assistants")]
    assert up == ["0.txt", "1.txt", "2.txt", "4.txt"]


async def test_a_file_is_named_by_its_id_in_both_apis(bench: Bench) -> None:
    made = await bench.client.files.create(file=("a.png", PICTURE), purpose="vision")
    digest = (await bench.host.put_file("a.png", PICTURE)).digest
    text: Any = {"type": "text", "text": "look"}
    piece: Any = {"type": "file", "file": {"file_id": made.id}}
    await bench.client.chat.completions.create(model="helper", messages=[{"role": "user", "content": [text, piece]}])
    words: Any = {"type": "input_text", "text": "look"}
    for picture in ({"type": "input_image", "file_id": made.id}, {"type": "input_file", "file_id": made.id}):
        content: Any = [words, picture]
        await bench.client.responses.create(model="helper", input=[{"role": "user", "content": content}])
    for task in await bench.tasks():
        created = (await bench.host.events_of(task.id))[0].event
        assert isinstance(created, Created)
        assert created.spec.message.parts[1] == FilePart(digest, "image/png", len(PICTURE), "a.png")


async def test_a_file_is_its_givers_alone(bench: Bench) -> None:
    made = await bench.client.files.create(file=("notes.txt", NOTES), purpose="user_data")
    content: Any = [{"type": "input_text", "text": "look"}, {"type": "input_file", "file_id": made.id}]
    async with await somebody(bench, "eve", "user") as eve:
        for call in (
            eve.files.retrieve(made.id),
            eve.files.content(made.id),
            eve.files.delete(made.id),
            eve.responses.create(model="helper", input=[{"role": "user", "content": content}]),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        assert [file async for file in eve.files.list()] == []
    async with await somebody(bench, "ann", "read-only", ("read",)) as ann:
        with pytest.raises(openai.PermissionDeniedError):
            await ann.files.create(file=("notes.txt", NOTES), purpose="user_data")
    assert (await bench.client.files.content(made.id)).content == NOTES


async def test_a_file_may_have_an_end(bench: Bench) -> None:
    made = await bench.client.files.create(
        file=("notes.txt", NOTES), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at is not None and 3500 < made.expires_at - time.time() < 3700


@pytest.mark.parametrize(
    "given, param",
    [
        ({"file": ("a.txt", b"x"), "purpose": "batch"}, "purpose"),
        ({"file": ("a.txt", b"x"), "purpose": "fun"}, "purpose"),
        ({"file": ("a.txt", b""), "purpose": "user_data"}, None),
        ({"file": ("a.png", b"no picture"), "purpose": "vision"}, None),
        (
            {
                "file": ("a.txt", b"x"),
                "purpose": "user_data",
                "expires_after": {"anchor": "created_at", "seconds": 5},
            },
            "expires_after.seconds",
        ),
    ],
)
async def test_a_file_that_can_not_be_used_is_refused(bench: Bench, given: Any, param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await bench.client.files.create(**given)
    assert refused.value.param == param
    assert [file async for file in bench.client.files.list()] == []


async def test_a_form_that_is_none_is_refused_in_openais_shape(bench: Bench) -> None:
    head = {"Authorization": f"Bearer {bench.token}"}
    async with httpx.AsyncClient(base_url=bench.url, headers=head) as client:
        for answer in (
            await client.post("/v1/files", content=b"x"),
            await client.post("/v1/files", data={"purpose": "user_data"}, files={}),
            await client.post("/v1/files", files={"file": ("a.txt", b"x")}),
            await client.post("/v1/files", content=b"x", headers={"content-type": "multipart/form-data"}),
            await client.post("/v1/files", data={"purpose": "x" * 70_000}, files={"file": ("a.txt", b"x")}),
        ):
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_file_is_kept_while_it_is_there_and_its_bytes_go_with_it(bench: Bench) -> None:
    made = await bench.client.files.create(file=("notes.txt", NOTES), purpose="user_data")
    digest = (await bench.host.put_file("notes.txt", NOTES)).digest
    erasure, keeper = bench.host._adapters.erasure, bench.host._keeper  # pyright: ignore[reportPrivateUsage]
    bench.host._adapters.blobs.used_for = 0.0  # pyright: ignore[reportPrivateUsage]
    # As if it had been given long ago.
    assert await erasure.doom_gifts(time.time() + 60, 0, 100) is not None
    await keeper.sweep(time.time())
    assert (await bench.client.files.content(made.id)).content == NOTES
    await bench.client.files.delete(made.id)
    assert await erasure.doomed("", 10) == [digest]
    await keeper.sweep(time.time())
    assert await erasure.doomed("", 10) == []
    with pytest.raises(NotFound):
        await bench.host.get_file(digest)


async def test_files_and_conversations_go_with_their_person(bench: Bench) -> None:
    async with await somebody(bench, "eve", "user") as eve:
        await eve.files.create(file=("notes.txt", NOTES), purpose="user_data")
        talk = await eve.conversations.create(items=[{"role": "user", "content": "a secret"}])
        await bench.host.erasure.person(Caller(), "eve")
    shelf = bench.host._adapters.shelf  # pyright: ignore[reportPrivateUsage]
    for kind, within in (("openai.file", ""), ("openai.conversation", ""), ("openai.item", talk.id)):
        assert await shelf.count("default", "eve", kind, within) == 0
