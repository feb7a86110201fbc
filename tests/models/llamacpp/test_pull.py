"""Models come whole or not at all, from a server that cuts, lies, changes its mind or knows no ranges."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agenthost.core.errors import AgentHostError, BadInput, NotFound, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.models.llamacpp.fetching import Progress, lock, shown
from agenthost.models.llamacpp.gguf import read_header
from agenthost.models.llamacpp.pull import Pulled, pull, remove
from agenthost.testing.gguf import TinyModel, write_model, write_split
from agenthost.testing.openai_server.service import serving


class Files:
    """A server of one file, in the moods that servers have."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"one"'
        self.ranges = True
        self.cut: list[int] = []
        self.status: list[int] = []
        self.asked: list[str] = []
        self.url = ""
        self.part = Path()
        self.measured = True
        self.silent_cut: list[int] = []

    def begun(self, content: bytes, validator: str) -> None:
        """What a fetch before has left."""
        self.part.write_bytes(content)
        state = {"url": digest(f"{self.url}/m.gguf".encode()), "validator": validator}
        self.part.with_name(self.part.name + ".json").write_text(json.dumps(state))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        if self.status:
            return web.Response(text="no", status=self.status.pop(0), headers={"Retry-After": "0"})
        headers = {"ETag": self.etag} if self.etag else {}
        start = 0
        if wanted and self.ranges and request.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        if self.measured:
            response.content_length = len(body)
        elif self.silent_cut:  # by a server that ends an answer with its connection, or has lost its own file
            body = body[: self.silent_cut.pop(0) - start]
        await response.prepare(request)
        if self.cut:
            some = self.cut.pop(0)
            await response.write(body[:some])
            while self.part.stat().st_size < start + some:  # dropped only when what was sent has come
                await asyncio.sleep(0.001)
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(body)
        return response


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_model(tmp_path_factory.mktemp("made") / "m.gguf", TinyModel(blocks=1)).read_bytes()


@pytest.fixture
async def files(content: bytes, tmp_path: Path) -> AsyncIterator[Files]:
    made = Files(content)
    made.part = tmp_path / ".m.gguf.part"

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound("/m.gguf")

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    application = web.Application()
    application.add_routes(
        [web.get("/m.gguf", made.serve), web.get("/moved.gguf", elsewhere), web.get("/page.gguf", page)]
    )
    async with AsyncExitStack() as stack:
        made.url = await stack.enter_async_context(serving(application))
        yield made


async def fetched(files: Files, folder: Path, path: str = "/m.gguf", **options: Any) -> Pulled:
    return await pull(files.url + path, folder, lambda progress: None, {}, **options)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_it_comes_whole_and_its_progress_is_told(files: Files, tmp_path: Path, content: bytes) -> None:
    told: list[Progress] = []
    found = await pull(files.url + "/m.gguf", tmp_path, told.append, {}, hashlib.sha256(content).hexdigest())
    assert (tmp_path / "m.gguf").read_bytes() == content
    assert (found.name, found.size, found.sha256) == ("m", len(content), hashlib.sha256(content).hexdigest())
    assert left(tmp_path) == ["m.gguf"]
    assert told[-1] == Progress("checking", len(content), len(content))
    assert Progress("fetching", len(content), len(content)) in told


async def test_a_connection_that_drops_is_gone_on_with_where_it_was(
    files: Files, tmp_path: Path, content: bytes
) -> None:
    files.cut = [50_000, 60_000, 10_000]
    await fetched(files, tmp_path)
    assert (tmp_path / "m.gguf").read_bytes() == content
    assert files.asked == ["", "bytes=50000-", "bytes=110000-", "bytes=120000-"]


async def test_stopped_and_called_again_it_goes_on(files: Files, tmp_path: Path, content: bytes) -> None:
    files.cut = [80_000]
    files.status = []
    began = asyncio.Event()

    async def first() -> None:
        await pull(files.url + "/m.gguf", tmp_path, lambda progress: began.set(), {})

    async with asyncio.TaskGroup() as group:
        task = group.create_task(first())
        await began.wait()
        task.cancel()
    assert left(tmp_path) == [".m.gguf.part", ".m.gguf.part.json"]
    have = (tmp_path / ".m.gguf.part").stat().st_size
    found = await fetched(files, tmp_path)
    assert found.resumed == have > 0
    assert files.asked[-1] == f"bytes={have}-"
    assert (tmp_path / "m.gguf").read_bytes() == content


@pytest.mark.parametrize("mood", ["no ranges", "changed", "no etag"])
async def test_where_it_cant_go_on_it_starts_anew(files: Files, tmp_path: Path, content: bytes, mood: str) -> None:
    files.cut = [80_000]
    files.status = []
    if mood == "no etag":
        files.etag = ""
    elif mood == "no ranges":
        files.ranges = False
    else:
        files.begun(b"GGUF of before", '"zero"')
    assert (await fetched(files, tmp_path)).resumed == 0
    assert (tmp_path / "m.gguf").read_bytes() == content
    assert left(tmp_path) == ["m.gguf"]


async def test_a_part_that_is_whole_already_is_only_checked(files: Files, tmp_path: Path, content: bytes) -> None:
    files.begun(content, '"one"')
    assert (await fetched(files, tmp_path)).resumed == len(content)
    assert files.asked == [f"bytes={len(content)}-"]


async def test_a_server_that_is_busy_for_a_moment_is_asked_again(files: Files, tmp_path: Path) -> None:
    files.status = [503, 429]
    await fetched(files, tmp_path)
    assert left(tmp_path) == ["m.gguf"]


async def test_one_that_never_delivers_is_given_up_and_what_came_stays(files: Files, tmp_path: Path) -> None:
    files.cut = [30_000, *[0] * 10]
    files.status = []
    with pytest.raises(Temporary, match="30 KB of .* are here; the same command goes on from there"):
        await fetched(files, tmp_path)
    assert (tmp_path / ".m.gguf.part").stat().st_size == 30_000


async def test_another_hash_than_wanted_leaves_nothing(files: Files, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="was wanted; it was thrown away") as caught:
        await fetched(files, tmp_path, sha256="0" * 64)
    assert caught.value.code == "hash-mismatch"
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "status", "kind", "words"),
    [
        ("/nothing.gguf", [], NotFound, r"there is nothing at .*/nothing.gguf \(404\)"),
        ("/m.gguf", [401], Permanent, "doesn't give out m.gguf to everybody"),
        ("/m.gguf", [418], Permanent, "answered 418"),
        ("/page.gguf", [], Permanent, "no GGUF but an HTML page"),
    ],
)
async def test_what_can_never_work_is_told_at_once(
    files: Files, tmp_path: Path, path: str, status: list[int], kind: type[AgentHostError], words: str
) -> None:
    files.status = status
    with pytest.raises(kind, match=words):
        await fetched(files, tmp_path, path)
    assert not (tmp_path / Path(path).name).exists()


async def test_a_damaged_head_is_thrown_away(files: Files, tmp_path: Path) -> None:
    files.content = files.content[:100]
    with pytest.raises(Permanent, match="was thrown away"):
        await fetched(files, tmp_path)
    assert left(tmp_path) == []


async def test_it_follows_where_it_is_sent(files: Files, tmp_path: Path) -> None:
    assert (await fetched(files, tmp_path, "/moved.gguf", name="mine")).name == "mine"
    assert left(tmp_path) == ["mine.gguf"]


async def test_a_disk_without_room_is_told_before_anything_comes(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type(real)(real.total, real.used, 1000))
    with pytest.raises(BadInput, match="are missing and .* has 1 KB free"):
        await fetched(files, tmp_path)
    assert not (tmp_path / "m.gguf").exists()


async def test_two_dont_fetch_the_same_at_once_and_a_name_isnt_taken_twice(files: Files, tmp_path: Path) -> None:
    files.cut = [50_000]
    began = asyncio.Event()

    async def first() -> None:
        await pull(files.url + "/m.gguf", tmp_path, lambda progress: began.set(), {})

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await began.wait()
        with pytest.raises(BadInput, match="another process is fetching m"):
            await fetched(files, tmp_path)
    with pytest.raises(BadInput, match="there is a model 'm' already"):
        await fetched(files, tmp_path)


async def test_a_model_that_is_removed_is_gone_with_its_part(files: Files, tmp_path: Path, content: bytes) -> None:
    await fetched(files, tmp_path)
    assert await asyncio.to_thread(remove, tmp_path, "llamacpp:m") == len(content)
    assert left(tmp_path) == []
    with pytest.raises(NotFound, match="there is no model 'm'"):
        await asyncio.to_thread(remove, tmp_path, "m")
    with pytest.raises(BadInput):
        await asyncio.to_thread(remove, tmp_path, "../m")


async def test_a_part_that_became_a_model_in_the_same_moment_is_left_whole(
    files: Files, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process held the lock, and puts the model in its place just before it lets go."""
    files.begun(content, '"one"')
    real = fcntl.flock

    def late(file: Any, how: int) -> None:
        os.replace(files.part, tmp_path / "m.gguf")
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BadInput):
        await fetched(files, tmp_path)
    assert (tmp_path / "m.gguf").read_bytes() == content


async def test_a_model_that_is_being_fetched_isnt_removed(files: Files, tmp_path: Path, content: bytes) -> None:
    began = asyncio.Event()
    files.cut = [50_000]

    async def first() -> None:
        await pull(files.url + "/m.gguf", tmp_path, lambda progress: began.set(), {})

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await began.wait()
        with pytest.raises(BadInput, match="another process is fetching m"):
            await asyncio.to_thread(remove, tmp_path, "m")
    assert (tmp_path / "m.gguf").read_bytes() == content


async def test_one_part_of_a_split_model_is_kept_before_the_others_come(files: Files, tmp_path: Path) -> None:
    name = "big-00001-of-00002"
    path = write_model(tmp_path / "split.gguf", TinyModel(blocks=1), {"split.count": 2})
    files.content = path.read_bytes()
    path.unlink()
    assert (await fetched(files, tmp_path, name=name)).size == len(files.content)
    with pytest.raises(BadInput, match="it is one of 2 parts, and big-00002-of-00002.gguf is missing"):
        await asyncio.to_thread(read_header, tmp_path / f"{name}.gguf")


async def test_what_is_secret_in_an_address_is_neither_told_nor_kept(files: Files, tmp_path: Path) -> None:
    secret = files.url.replace("://", "://ann:hunter2@")
    with pytest.raises(NotFound) as caught:
        await pull(f"{secret}/nothing.gguf?token=hunter2", tmp_path, lambda progress: None, {})
    assert "hunter2" not in str(caught.value)
    files.cut = [30_000, *[0] * 10]
    with pytest.raises(Temporary) as stopped:
        await pull(f"{secret}/m.gguf?token=hunter2", tmp_path, lambda progress: None, {})
    assert "hunter2" not in str(stopped.value)
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("source", ["nonsense", "ftp://x/y.gguf", "hf:owner/repo", "file:///etc/passwd"])
async def test_what_is_no_address_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(BadInput):
        await pull(source, tmp_path, lambda progress: None, {})


async def test_without_hash_and_length_a_file_that_was_cut_is_fetched_on(
    files: Files, tmp_path: Path, content: bytes
) -> None:
    files.measured = False
    files.silent_cut = [len(content) // 2, len(content) - 300]
    await fetched(files, tmp_path)
    assert (tmp_path / "m.gguf").read_bytes() == content
    assert files.asked == ["", f"bytes={len(content) // 2}-", f"bytes={len(content) - 300}-"]


async def test_a_file_that_is_cut_at_the_server_is_no_model(files: Files, tmp_path: Path, content: bytes) -> None:
    files.content = content[:-300]
    with pytest.raises(
        Permanent, match=f"thrown away: .* it was cut: it has .*, and its weights end at {len(content):,}"
    ):
        await fetched(files, tmp_path)
    assert left(tmp_path) == []


async def test_where_a_server_cant_go_on_with_a_file_it_isnt_promised(files: Files, tmp_path: Path) -> None:
    files.etag = ""
    files.cut = [30_000, 40_000, *[30_000, 20_000] * 5]
    with pytest.raises(Temporary, match="the same command begins anew"):
        await fetched(files, tmp_path)


@pytest.mark.parametrize("mood", ["round", "nowhere"])
async def test_no_secret_of_another_address_is_told_either(tmp_path: Path, mood: str) -> None:
    """The library's own words hold the whole address, also the one that somebody sent us on to."""

    async def onward(request: web.Request) -> web.Response:
        place = "/m.gguf?token=hunter2" if mood == "round" else "http://ann:hunter2@[no address]/m.gguf?token=hunter2"
        return web.Response(status=302, headers={"Location": place})

    application = web.Application()
    application.add_routes([web.get("/m.gguf", onward)])
    async with serving(application) as url:
        address = url.replace("://", "://ann:hunter2@") + "/m.gguf?token=hunter2"
        with pytest.raises(Temporary, match="127.0.0.1 can't be fetched from: it sends") as caught:
            await pull(address, tmp_path, lambda progress: None, {})
    assert "hunter2" not in caught.value.message


def test_an_address_in_any_words_is_told_without_what_is_secret() -> None:
    words = "no way to 'https://ann:hunter2@example.org:8443/a/m.gguf?token=hunter2#hunter2', said it"
    assert shown(words) == "no way to 'https://example.org:8443/a/m.gguf', said it"
    assert "hunter2" not in shown("http://ann:hunter2@[broken/")


class Parts:
    """A server of a split model."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.asked: list[tuple[str, str]] = []
        self.missing = ""
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name, wanted = request.match_info["name"], request.headers.get("Range", "")
        self.asked.append((name, wanted))
        if name not in self.contents or name == self.missing or request.query.get("key") != "hunter2":
            return web.Response(status=404)
        content = self.contents[name]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers = {"ETag": f'"{name}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return web.Response(status=206 if start else 200, body=content[start:], headers=headers)

    def hashes(self) -> list[str]:
        return [hashlib.sha256(content).hexdigest() for content in self.contents.values()]


@pytest.fixture
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parts]:
    written = write_split(tmp_path_factory.mktemp("split") / "big-q4.gguf", 3, TinyModel(context=2048))
    made = Parts({path.name: path.read_bytes() for path in written})
    application = web.Application()
    application.add_routes([web.get("/repo/{name}", made.serve)])
    async with serving(application) as url:
        made.url = url + "/repo"
        yield made


async def pulled(parts: Parts, folder: Path, number: int = 1, **options: Any) -> Pulled:
    url = f"{parts.url}/big-q4-{number:05d}-of-00003.gguf?key=hunter2"
    return await pull(url, folder, options.pop("tell", lambda progress: None), {}, **options)


@pytest.mark.parametrize("number", [1, 3])
async def test_of_a_split_model_all_parts_come_whichever_was_named(parts: Parts, tmp_path: Path, number: int) -> None:
    told: list[Progress] = []
    found = await pulled(parts, tmp_path, number, tell=told.append, sha256=parts.hashes())
    assert left(tmp_path) == list(parts.contents)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == parts.contents
    assert (found.name, found.parts, found.sha256) == ("big-q4", tuple(parts.hashes()), "")
    assert found.path == str(tmp_path / "big-q4-00001-of-00003.gguf")
    header = await asyncio.to_thread(read_header, Path(found.path))
    assert found.size == sum(map(len, parts.contents.values())) == header.size
    assert {(each.doing, each.part, each.parts) for each in told} == {
        (doing, part, 3) for doing in ("fetching", "checking") for part in (1, 2, 3)
    }


@pytest.mark.parametrize("name", ["mine", "mine-00001-of-00003", "mine-00001-of-00003.gguf"])
async def test_under_another_name_the_parts_are_still_counted(parts: Parts, tmp_path: Path, name: str) -> None:
    assert (await pulled(parts, tmp_path, name=name)).name == "mine"
    assert left(tmp_path) == [f"mine-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    with pytest.raises(BadInput, match="there is a model 'mine' already"):
        await pulled(parts, tmp_path, name="mine")


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_another_number_of_hashes_than_parts_is_refused(parts: Parts, tmp_path: Path, count: int) -> None:
    with pytest.raises(BadInput, match=r"has 3 parts and \d hash.* given; give --sha256 once for each part"):
        await pulled(parts, tmp_path, sha256=(parts.hashes() * 2)[:count])
    assert left(tmp_path) == []


async def test_a_part_that_fails_leaves_no_model_and_the_next_call_goes_on(parts: Parts, tmp_path: Path) -> None:
    hashes = parts.hashes()
    with pytest.raises(Permanent, match="big-q4-00002-of-00003.gguf has the SHA-256") as caught:
        await pulled(parts, tmp_path, sha256=[hashes[0], "0" * 64, hashes[2]])
    assert caught.value.code == "hash-mismatch"
    parts.missing = "big-q4-00003-of-00003.gguf"
    with pytest.raises(NotFound, match=r"there is nothing at .*/big-q4-00003-of-00003.gguf \(404\)"):
        await pulled(parts, tmp_path)
    assert not list(tmp_path.glob("*.gguf"))
    parts.missing, parts.asked = "", []
    first = len(next(iter(parts.contents.values())))
    assert (await pulled(parts, tmp_path, sha256=hashes)).resumed > first
    assert parts.asked[0] == ("big-q4-00001-of-00003.gguf", f"bytes={first}-")
    assert left(tmp_path) == list(parts.contents)


async def test_stopped_while_the_parts_are_put_into_their_place_it_goes_on(parts: Parts, tmp_path: Path) -> None:
    await pulled(parts, tmp_path)
    for name in parts.contents:  # as it is between two renames: what is known of the parts is still there
        state = {"url": digest(f"{parts.url}/{name}?key=hunter2".encode()), "validator": f'"{name}"'}
        (tmp_path / f".{name}.part.json").write_text(json.dumps(state))
    (tmp_path / "big-q4-00001-of-00003.gguf").rename(tmp_path / ".big-q4-00001-of-00003.gguf.part")
    found = await pulled(parts, tmp_path)
    assert found.resumed == found.size
    assert left(tmp_path) == list(parts.contents)


async def test_somebodys_own_file_in_the_place_of_a_part_is_left_alone(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "big-q4-00002-of-00003.gguf").write_text("mine")
    with pytest.raises(BadInput, match="00002-of-00003.gguf is there already and was not fetched here"):
        await pulled(parts, tmp_path)
    assert left(tmp_path) == ["big-q4-00002-of-00003.gguf"]


@pytest.mark.parametrize("name", ["big-q4", "llamacpp:big-q4", "big-q4-00001-of-00003", "big-q4-00002-of-00003.gguf"])
async def test_all_parts_of_a_split_model_are_removed(parts: Parts, tmp_path: Path, name: str) -> None:
    size = (await pulled(parts, tmp_path)).size
    write_model(tmp_path / "other.gguf", TinyModel(blocks=1))
    write_model(tmp_path / "big-q4-more.gguf", TinyModel(blocks=1))
    (tmp_path / ".big-q4-00003-of-00003.gguf.part").write_bytes(b"GGUF of before")
    assert await asyncio.to_thread(remove, tmp_path, name) == size + 14
    assert left(tmp_path) == ["big-q4-more.gguf", "other.gguf"]


async def test_two_who_fetch_the_same_split_model_are_told_apart(parts: Parts, tmp_path: Path) -> None:
    second: list[str] = []

    def during(progress: Progress) -> None:
        if not second:
            with pytest.raises(BadInput, match="another process is fetching") as caught:
                lock(tmp_path / "big-q4-00003-of-00003.gguf")
            second.append(caught.value.message)

    await pulled(parts, tmp_path, tell=during)
    assert second
