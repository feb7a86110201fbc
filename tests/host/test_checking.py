"""What the host sees when it looks: files, JSON, addresses, test reports that somebody made to fool it."""

from typing import Any

import pytest
from aiohttp import web

from agenthost.core.checks import FileLook, FilesLook, HttpLook, JsonLook, ReportLook
from agenthost.core.errors import BadInput, NotFound, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.host.checking import junit
from agenthost.host.checking.inspector import HostInspector
from agenthost.host.outgoing import Outgoing
from agenthost.testing.loops import fast


class Place:
    """Files in a dict."""

    def __init__(self, **files: bytes) -> None:
        self._files = {name.replace("_", "."): content for name, content in files.items()}

    async def files(self) -> dict[str, str]:
        return {path: digest(content) for path, content in self._files.items()}

    async def read(self, path: str) -> bytes:
        if path not in self._files:
            raise NotFound("no")
        return self._files[path]

    async def size(self, path: str) -> int:
        return len(await self.read(path))


async def endless(pattern: str, text: bytes) -> bool:
    raise BadInput("the search came to no end")


async def nothing(url: str, headers: dict[str, str], most: int, seconds: float) -> tuple[int, bytes]:
    raise Permanent("it is a private address", code="refused")


async def plain(pattern: str, text: bytes) -> bool:
    return pattern.encode() in text


LOOKS = HostInspector(plain, nothing)


async def why(look: Any, **files: bytes) -> str:
    return (await LOOKS.inspect(look, Place(**files))).reason


async def test_files_are_looked_at() -> None:
    seen = await LOOKS.inspect(FileLook("a.txt", pattern="ell"), Place(a_txt=b"hello"))
    assert (seen.ok, seen.facts) == (True, {"path": "a.txt", "sha256": digest(b"hello"), "size": 5})
    assert await why(FileLook("a.txt")) == "there is no file 'a.txt'"
    assert await why(FileLook("a.txt"), a_txt=b" \n") == "'a.txt' is empty"
    assert await why(FileLook("a.txt", sha256=digest(b"").partition(":")[2]), a_txt=b"") == ""
    assert "another content" in await why(FileLook("a.txt", sha256="0" * 64), a_txt=b"x")
    assert await why(FileLook("a.txt", absent=True)) == ""
    assert await why(FileLook("a.txt", absent=True), a_txt=b"x") == "there is a file 'a.txt'"
    hard = await HostInspector(endless, nothing).inspect(FileLook("a.txt", pattern="(a+)+"), Place(a_txt=b"x"))
    assert (hard.ok, hard.reason) == (False, "the search came to no end")


async def test_json_is_held_against_its_schema_and_nothing_is_fetched_for_it() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert await why(JsonLook("a.json", schema), a_json=b'{"n": 1}') == ""
    assert "at $.n: 'x' is not of type 'integer'" in await why(JsonLook("a.json", schema), a_json=b'{"n": "x"}')
    assert "is not JSON" in await why(JsonLook("a.json", schema), a_json=b"{")
    remote = {"$ref": "https://schemas.example/x.json"}
    assert "can't be used" in await why(JsonLook("a.json", remote), a_json=b"{}")


async def test_all_files_are_seen_by_hash_and_some_with_their_words() -> None:
    look = FilesLook(("b.txt", "not.there"), most=3)
    seen = await LOOKS.inspect(look, Place(a_txt=b"aaaa", b_txt=b"bbbb"))
    assert seen.facts["files"] == {"b.txt": digest(b"bbbb"), "a.txt": digest(b"aaaa")}
    assert (seen.facts["sizes"], seen.facts["texts"], seen.facts["cut"]) == (
        {"b.txt": 4, "a.txt": 4},
        {"b.txt": "bbb"},
        0,
    )


SUITE = "<testsuites><testsuite name='s'>{0}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        ("<testcase/><testcase/>", ""),
        ("<testcase/>", "1 tests were run (0 were skipped), and at least 2 should be"),
        ("<testcase/><testcase><failure/></testcase>", "of 2 tests 1 failed and 0 ended with an error"),
        ("<testcase/><testcase><error/><error/></testcase>", "of 2 tests 0 failed and 1 ended with an error"),
        ("<testcase/><testcase/><testcase><skipped/></testcase>", "1 tests were skipped, and at most 0 may be"),
        ("<testcase status='notrun'/><testcase/>", "1 tests were run (1 were skipped)"),
        ("<testcase/><testcase/><testsuite failures='1'/>", "of 2 tests 1 failed"),
        ("<testcase/><testcase><x><failure/></x></testcase>", ""),
        ("<testcase/>", "at least 2"),
    ],
)
async def test_reports_are_counted_case_by_case(cases: str, told: str) -> None:
    seen = await why(ReportLook("r.xml", tests=2), r_xml=SUITE.format(cases).encode())
    assert (seen == "") if not told else told in seen


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite>&a;</testsuite>", "declares a document type"),
        ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>", "declares a document type"),
        ("<html/>", "its root is <html>"),
        ("<testsuite><testcase>", "is not whole XML"),
        ("", "is not whole XML"),
        ("<testsuite>" * 70 + "</testsuite>" * 70, "nested more than"),
        ("<testsuite>&undefined;</testsuite>", "is not whole XML"),
    ],
)
def test_what_is_no_report_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        junit.read(text.encode())


def test_an_address_is_asked_until_it_answers_as_it_should_and_never_where_that_is_refused() -> None:
    asked: list[float] = []

    async def fetch(url: str, headers: dict[str, str], most: int, seconds: float) -> tuple[int, bytes]:
        asked.append(seconds)
        if len(asked) == 1:
            raise Temporary("not yet")
        return (200, b"Hello") if len(asked) > 2 else (503, b"")

    inspector = HostInspector(plain, fetch)
    seen = fast(inspector.inspect(HttpLook("https://a.example/", body="ell", within=10), Place()))
    assert (seen.ok, seen.facts["status"], len(asked)) == (True, 200, 3)
    late = fast(inspector.inspect(HttpLook("https://a.example/", body="no", within=2), Place()))
    assert late.reason == "the body of https://a.example/ has nothing that matches 'no'"
    refused = fast(LOOKS.inspect(HttpLook("http://10.0.0.1/"), Place()))
    assert refused.reason == "http://10.0.0.1/ was not asked: it is a private address"


async def test_the_guarded_client_reads_a_bounded_body_and_follows_nobody(aiohttp_port: int) -> None:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    outgoing = Outgoing(here)
    url = f"http://site.example:{aiohttp_port}"
    assert await outgoing.fetch(f"{url}/big", {}, 1000, 5.0) == (200, b"x" * 1000)
    status, _ = await outgoing.fetch(f"{url}/away", {}, 1000, 5.0)
    assert status == 302


@pytest.fixture
async def aiohttp_port() -> Any:
    async def big(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/big")

    app = web.Application()
    app.router.add_get("/big", big)
    app.router.add_get("/away", away)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()
