"""What REST promises, over a real host: once, versions, parts of files, pages, filters, messages that find their task."""

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest

from agenthost.core.access import DeedFilter
from agenthost.core.events import Recorded
from agenthost.core.ports import Filter
from agenthost.faces.http.site import Limits
from tests.faces.rest.conftest import Served
from tests.host.conftest import ECHO, Opens

TEN = b"0123456789"


# --- once ---


async def test_a_key_does_the_work_once_and_gives_the_same_answer(served: Served) -> None:
    for path, body in (
        ("/api/v1/tasks", {"name": "echo", "text": "hello"}),
        ("/api/v1/messages", {"name": "echo", "text": "hi"}),
        ("/api/v1/files", TEN),
    ):
        first = await served.ask("POST", path, body, idempotency_key="one")
        again = await served.ask("POST", path, body, idempotency_key="one")
        assert first[0] == again[0] == 201
        assert first[2] == again[2]
        assert "idempotency-replayed" not in first[1] and again[1]["idempotency-replayed"] == "true"
        status, _, told = await served.ask("POST", path, {"name": "echo", "text": "other"}, idempotency_key="one")
        assert (status, told["code"]) == (422, "key-reused")
    assert len(await served.host.tasks(Filter())) == 2


async def test_two_people_and_two_paths_may_have_one_key_and_what_failed_may_be_tried_again(served: Served) -> None:
    ann, bob = await served.person("ann", "user"), await served.person("bob", "user")
    body = {"name": "echo", "text": "hello"}
    rows = [(await served.ask("POST", "/api/v1/tasks", body, who, idempotency_key="k"))[2] for who in (ann, bob, None)]
    assert len({row["id"] for row in rows}) == 3
    late = {"name": "later", "text": "hello"}
    assert (await served.ask("POST", "/api/v1/tasks", late, idempotency_key="l"))[0] == 404
    await served.host.apply({"later.yaml": ECHO.replace("echo", "later")})
    assert (await served.ask("POST", "/api/v1/tasks", late, idempotency_key="l"))[0] == 201
    for key in ("", "x" * 201):
        assert (await served.ask("POST", "/api/v1/tasks", body, idempotency_key=key))[0] == 400


async def test_ten_requests_with_one_key_at_once_make_one_thing(served: Served) -> None:
    body = {"name": "echo", "text": "hello"}
    asked = [served.ask("POST", "/api/v1/tasks", body, idempotency_key="k") for _ in range(10)]
    answers = await asyncio.gather(*asked)
    assert {status for status, _, _ in answers} <= {201, 409}
    assert len({told["id"] for status, _, told in answers if status == 201}) == 1
    assert len(await served.host.tasks(Filter())) == 1


async def test_an_answer_is_given_again_after_a_restart(opens: Opens) -> None:
    body = {"name": "echo", "text": "hello"}
    first = Served(await opens())
    await first.host.apply({"echo.yaml": ECHO})
    await first.open()
    made = await first.ask("POST", "/api/v1/files", TEN, idempotency_key="k")
    await first.host.close()
    second = Served(await opens())
    await second.open()
    again = await second.ask("POST", "/api/v1/files", TEN, idempotency_key="k")
    assert again[2] == made[2] and again[1]["idempotency-replayed"] == "true"
    assert (await second.ask("POST", "/api/v1/tasks", body, idempotency_key="k"))[0] == 201


# --- files ---


@pytest.mark.parametrize(
    ("asked", "status", "got", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 200, TEN, ""),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-", 200, TEN, ""),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, TEN, ""),
        ("bytes=0-1,3-4", 200, TEN, ""),
        ("lines=1-2", 200, TEN, ""),
        ("bytes=-", 200, TEN, ""),
        ("bytes=99999999999999999999-", 200, TEN, ""),
    ],
)
async def test_a_part_of_a_file_is_handed_out(served: Served, asked: str, status: int, got: bytes, told: str) -> None:
    kept = await served.host.put_file("a.txt", TEN)
    path = f"/api/v1/files/{kept.digest}"
    found = await served.ask("GET", path, range=asked)
    assert found[0] == status
    assert found[1].get("content-range", "") == told
    if status != 416:
        assert found[2] == got and found[1]["content-length"] == str(len(got))
        head = await served.ask("HEAD", path, range=asked)
        assert (head[0], head[1]["content-length"], head[2]) == (status, str(len(got)), b"")


async def test_a_file_that_is_known_isnt_sent_again(served: Served) -> None:
    kept = await served.host.put_file("a.txt", TEN)
    path = f"/api/v1/files/{kept.digest}"
    etag = (await served.ask("GET", path))[1]["etag"]
    assert (await served.ask("GET", path, if_none_match=etag))[::2] == (304, b"")
    assert (await served.ask("GET", path, range="bytes=0-1", if_range=etag))[0] == 206
    assert (await served.ask("GET", path, range="bytes=0-1", if_range='"other"'))[::2] == (200, TEN)


def form(*parts: tuple[str, str, bytes], boundary: str = "B") -> bytes:
    body = b""
    for name, filename, content in parts:
        named = f'; filename="{filename}"' if filename else ""
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + f"--{boundary}--\r\n".encode()


MULTIPART = "multipart/form-data; boundary=B"


async def test_a_form_may_bring_one_file(served: Served) -> None:
    content = b"\r\n--B\n--C" * 1000
    sent = form(("note", "", b"x"), ("file", "notes.txt", content), ("more", "", b"y"))
    status, _, kept = await served.ask("POST", "/api/v1/files", sent, Content_Type=MULTIPART)
    assert (status, kept["name"], kept["size"]) == (201, "notes.txt", len(content))
    assert await served.host.get_file(kept["digest"]) == content


@pytest.mark.parametrize(
    ("sent", "media", "words"),
    [
        (form(("a", "a.txt", b"1"), ("b", "b.txt", b"2")), MULTIPART, "several files"),
        (form(("a", "", b"1")), MULTIPART, "no file in it"),
        (form(("a", "a.txt", b"1"))[:-9], MULTIPART, "before its last boundary"),
        (b"nonsense", MULTIPART, "no multipart/form-data"),
        (b"", MULTIPART, "no file in it"),
        (form(("a", "a.txt", b"1")), "multipart/form-data", "without a boundary"),
        (b"--B\r\nContent-Disposition: " + b"x" * 99_999, MULTIPART, "header size exceeded"),
    ],
)
async def test_a_form_that_is_wrong_is_refused_and_keeps_nothing(
    served: Served, sent: bytes, media: str, words: str
) -> None:
    status, _, told = await served.ask("POST", "/api/v1/files", sent, Content_Type=media)
    assert status == 400 and words in told["detail"], told
    assert list((served.host.settings.folder / "blobs").rglob("*.tmp")) == []


async def test_a_file_larger_than_the_settings_say_is_refused(served: Served) -> None:
    served.limits = Limits(upload=9)
    assert (await served.ask("POST", "/api/v1/files", TEN))[0] == 413
    assert (await served.ask("PATCH", "/api/v1/settings", {"files.size": 1024 * 1024}))[0] == 200
    served.limits = Limits()
    big = bytes(1024 * 1024 + 1)
    assert (await served.ask("POST", "/api/v1/files", big))[0] == 400
    kept = await served.ask("POST", "/api/v1/files", big, query={"media_type": "application/x-disk"})
    assert (kept[0], kept[2]["size"]) == (201, len(big))


# --- manifests ---

AGENT = {
    "apiVersion": "agenthost.dev/v1alpha1",
    "kind": "Agent",
    "metadata": {"name": "one"},
    "spec": {"description": "Helps", "instructions": "Help."},
}


def changed(words: str) -> dict[str, Any]:
    return AGENT | {"spec": {"description": words, "instructions": "Help."}}


async def test_a_manifest_is_changed_only_in_the_version_that_is_named(served: Served) -> None:
    path = "/api/v1/agents/one"
    made = await served.ask("PUT", path, AGENT, if_none_match="*")
    assert made[0] == 201
    assert (await served.ask("PUT", path, AGENT, if_none_match="*"))[0] == 412
    shown = await served.ask("GET", path)
    assert shown[2] == AGENT and shown[1]["etag"] == made[1]["etag"]
    assert (await served.ask("GET", path, if_none_match=shown[1]["etag"]))[0] == 304
    second = await served.ask("PUT", path, changed("two"), if_match=shown[1]["etag"])
    assert second[0] == 200 and second[1]["etag"] != shown[1]["etag"]
    status, _, told = await served.ask("PUT", path, changed("three"), if_match=shown[1]["etag"])
    assert (status, told["code"]) == (412, "stale")
    assert (await served.ask("DELETE", path, if_match=shown[1]["etag"]))[0] == 412
    assert (await served.ask("GET", path))[2]["spec"]["description"] == "two"
    assert (await served.ask("DELETE", path, if_match="*"))[0] == 204
    assert (await served.ask("GET", path))[0] == 404
    assert (await served.ask("PUT", path, AGENT, if_match="*"))[0] == 412


async def test_of_ten_who_change_one_version_at_once_one_does(served: Served) -> None:
    path = "/api/v1/agents/one"
    etag = (await served.ask("PUT", path, AGENT))[1]["etag"]
    answers = await asyncio.gather(
        *(served.ask("PUT", path, changed(f"by {number}"), if_match=etag) for number in range(10))
    )
    assert sorted(status for status, _, _ in answers) == [200] + [412] * 9


async def test_a_manifest_goes_back_to_an_earlier_version(served: Served) -> None:
    path = "/api/v1/agents/one"
    for body in (AGENT, changed("two"), changed("three")):
        await served.ask("PUT", path, body)
    await served.ask("DELETE", path)
    first = (await served.ask("GET", f"{path}/versions", query={"limit": 3}))[2]
    rest = (await served.ask("GET", f"{path}/versions", query={"limit": 3, "cursor": first["next"]}))[2]
    assert [each["number"] for each in first["items"] + rest["items"]] == [4, 3, 2, 1]
    assert "manifest" not in first["items"][0] and rest["items"][0]["manifest"] == AGENT
    assert (await served.ask("POST", f"{path}/versions/4/restore"))[0] == 409
    assert (await served.ask("POST", f"{path}/versions/9/restore"))[0] == 404
    assert (await served.ask("POST", f"{path}/versions/2/restore"))[0] == 201
    assert (await served.ask("GET", path))[2] == changed("two")
    found = await served.host.accounts.deeds(DeedFilter(what="manifest.roll-back"))
    assert found == []  # the host's own user, over the socket, is nobody whose deeds are noted


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (AGENT | {"metadata": {"name": "other"}}, 409, "another's"),
        (AGENT | {"spec": {"description": "x", "tools": ["nonsense"]}}, 409, "tools"),
        (AGENT | {"kind": "Workflow"}, 409, ""),
        (b"\xff\xfe", 400, "UTF-8"),
        (b"", 400, "empty"),
        (b"a: [", 409, ""),
    ],
)
async def test_a_manifest_that_cant_be_applied_changes_nothing(
    served: Served, body: Any, status: int, words: str
) -> None:
    got = await served.ask("PUT", "/api/v1/agents/one", body)
    assert got[0] == status and words in got[2]["detail"], got[2]
    assert (await served.ask("GET", "/api/v1/agents/one"))[0] == 404


# --- lists ---


async def test_tasks_are_filtered_and_paged_by_cursors_that_say_nothing(served: Served) -> None:
    ids = [await served.ended(f"title {number}", conversation=f"c{number % 2}") for number in range(5)]

    async def listed(**query: Any) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = (await served.ask("GET", "/api/v1/tasks", query=query | {"limit": 2, "cursor": cursor}))[2]
            found += [row["id"] for row in page["items"]]
            cursor = page.get("next", "")
            assert cursor not in ids
            if not cursor:
                return found

    assert await listed() == ids[::-1]
    assert await listed(conversation="c1") == [ids[3], ids[1]]
    assert await listed(text="TITLE 4") == [ids[4]]
    assert await listed(state=["failed", "completed"]) == ids[::-1]
    assert await listed(state="failed") == []
    middle = (await served.host.task(ids[2])).row.created
    assert await listed(since=middle) == ids[:1:-1]
    assert await listed(until=middle) == ids[1::-1]
    assert (await served.ask("GET", "/api/v1/tasks", query={"cursor": "nonsense"}))[0] == 404
    for wrong in ({"limit": 0}, {"limit": "x"}, {"nonsense": 1}, {"since": "nan"}, {"state": "odd"}):
        status, _, told = await served.ask("GET", "/api/v1/tasks", query=wrong)
        assert status == 400 and next(iter(wrong)) in told["detail"], told


async def test_children_are_those_right_below(served: Served) -> None:
    from tests.host.conftest import PAIR

    await served.host.apply({"pair.yaml": PAIR})
    made = await served.ask("POST", "/api/v1/tasks", {"name": "pair", "text": "x"})
    task = made[2]["id"]
    async for _ in served.host.follow(task):
        pass
    page = (await served.ask("GET", f"/api/v1/tasks/{task}/children"))[2]
    assert len(page["items"]) == 2 and {row["parent"] for row in page["items"]} == {task}
    assert (await served.ask("GET", "/api/v1/tasks/unknown/children"))[0] == 404


async def test_usage_is_told_by_task_and_day(served: Served) -> None:
    task = await served.ended()
    lines = (await served.ask("GET", "/api/v1/usage", query={"by": ["task", "day"]}))[2]
    assert [(line["task"], line["calls"], len(line["day"])) for line in lines] == [(task, 1, 10)]
    assert (await served.ask("GET", "/api/v1/usage", query={"by": "colour"}))[0] == 400


async def test_settings_change_while_it_runs_and_stay_changed(opens: Opens) -> None:
    first = Served(await opens())
    await first.open()
    told = (await first.ask("PATCH", "/api/v1/settings", {"http.rate": 7, "files.side": 100}))[2]
    assert {"name": "http.rate", "value": 7.0, "given": 100.0} in told
    for wrong in ({"http.port": 1}, {"http.rate": -1}, {"files.side": "x"}, {"nonsense": 1}):
        assert (await first.ask("PATCH", "/api/v1/settings", wrong))[0] == 400
    await first.host.close()
    second = Served(await opens())
    await second.open()
    assert (second.host.settings.http.rate, second.host.settings.files.side) == (7, 100)
    await second.ask("PATCH", "/api/v1/settings", {"http.rate": None})
    assert second.host.settings.http.rate == 100.0


# --- messages and everybody's events ---


async def test_a_message_begins_a_task_answers_its_question_or_is_said_to_it(served: Served) -> None:
    status, _, first = await served.ask("POST", "/api/v1/messages", {"name": "asker", "text": "x", "conversation": "c"})
    assert (status, first["became"]) == (201, "order")
    task = first["task"]["id"]
    async for _ in served.host.follow(task):
        if (await served.host.task(task)).questions:
            break
    second = (await served.ask("POST", "/api/v1/messages", {"text": "red", "conversation": "c"}))[2]
    assert (second["became"], second["task"]["id"]) == ("answer", task)
    async for _ in served.host.follow(task):
        pass
    assert (await served.ask("POST", "/api/v1/messages", {"text": "more", "conversation": "new"}))[0] == 404
    assert (await served.ask("POST", "/api/v1/messages", {"text": "more", "task": task}))[0] == 409
    said = {"name": "asker", "text": "/new x", "conversation": "c"}
    third = (await served.ask("POST", "/api/v1/messages", said))[2]
    assert third["became"] == "order" and third["task"]["id"] != task


async def test_everybodys_events_come_once_each_over_pages_and_live(served: Served) -> None:
    seen: list[Recorded] = []
    async with aclosing(cast("Any", served.host.watch(0))) as items:
        watching = asyncio.ensure_future(anext(items))  # noqa: TID251 - a test's own
        ids = [await served.ended(f"task {number}") for number in range(3)]
        expected = sum([len(await served.host.events(task)) for task in ids])
        seen.append((await watching)[1])
        async for _, recorded in items:
            seen.append(recorded)
            if len(seen) == expected:
                break
    paged: list[Any] = []
    cursor = ""
    while True:
        page = (await served.ask("GET", "/api/v1/events", query={"limit": 4, "cursor": cursor}))[2]
        paged += page["items"]
        if page["next"] == cursor or not page["items"]:
            break
        cursor = page["next"]
    places = [each["place"] for each in paged]
    assert places == sorted(set(places))
    told = [(each["event"]["task"], each["event"]["seq"]) for each in paged]
    assert told == [(each.task, each.seq) for each in seen]
    for task in ids:
        assert [seq for of, seq in told if of == task] == list(range(1, len(await served.host.events(task)) + 1))


# --- limits ---


async def test_who_asks_too_much_waits_and_the_owner_doesnt(served: Served) -> None:
    ann = await served.person("ann", "user")
    served.limits = Limits(rate=0.5)
    statuses = [(await served.ask("GET", "/api/v1/info", None, ann))[0] for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    refused = await served.ask("GET", "/api/v1/info", None, ann)
    assert int(refused[1]["retry-after"]) >= 1 and refused[2]["code"] == "too-many"
    assert (await served.ask("GET", "/api/v1/info"))[0] == 200
    assert (await served.ask("GET", "/api/v1/info", None, await served.person("bob", "user")))[0] == 200


async def test_so_many_streams_at_once_and_no_more(served: Served) -> None:
    ann = await served.person("ann", "user")
    task = await served.asking(person="ann")
    served.limits = Limits(streams=2)
    async with asyncio.TaskGroup() as group:
        path = f"/api/v1/tasks/{task}/events"
        open_ones = [group.create_task(served.ask("GET", path, None, ann)) for _ in range(2)]
        async with asyncio.timeout(20):
            while (await served.ask("GET", "/api/v1/info", None, ann))[0] != 429:
                await asyncio.sleep(0.01)
        for each in open_ones:
            each.cancel()
    assert (await served.ask("GET", "/api/v1/info", None, ann))[0] == 200
