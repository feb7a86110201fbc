"""The log of requests: who, what, how long; an id in and out; never what was said or a token."""

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog

from agenthost.cli.logs import kept
from tests.telemetry.conftest import make_home, up

SECRET = "what-nobody-may-read"


def lines_of(home: Path) -> list[dict[str, Any]]:
    text = (home / "logs" / "agenthost.log").read_text()
    assert SECRET not in text
    assert (home / "token").read_text().strip() not in text
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]


async def test_each_request_is_a_line_that_says_who_and_what_and_never_a_secret(tmp_path: Path) -> None:
    home = await asyncio.to_thread(make_home, tmp_path)
    async with up(home) as client:
        order = {"name": "quick", "text": SECRET}
        async with client.post("/api/v1/tasks", json=order, headers={"X-Request-Id": "mine-1"}) as answer:
            assert answer.headers["X-Request-Id"] == "mine-1"
            task = (await answer.json())["id"]
        async with client.get(f"/api/v1/tasks/{task}") as answer:
            assert answer.headers["X-Request-Id"]
        async with client.get(f"/{SECRET}?token={SECRET}", headers={"X-Request-Id": "bad id, with more"}) as answer:
            assert "bad" not in answer.headers["X-Request-Id"]
        async with client.get("/api/v1/info", headers={"Authorization": f"Bearer {SECRET}"}) as answer:
            assert answer.status == 401
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with client.get(f"/api/v1/tasks/{task}/events") as answer:
            await answer.read()
    lines = await asyncio.to_thread(lines_of, home)
    told = [(line["method"], line["route"], line["status"], line.get("who")) for line in lines]
    assert told == [
        ("POST", "/api/v1/tasks", 201, "owner"),
        ("GET", "/api/v1/tasks/{task}", 200, "owner"),
        ("GET", "unknown", 404, "owner"),
        ("GET", "unknown", 401, None),
        ("GET", "/api/v1/tasks/{task}/events", 200, "owner"),
    ]
    assert lines[0]["request"] == "mine-1"
    assert len({line["request"] for line in lines}) == len(lines)
    assert [line.get("task") for line in lines] == [task, task, None, None, task]
    assert all(line["bytes"] > 0 and line["seconds"] > 0 for line in lines)


async def test_a_setting_keeps_requests_out_of_the_log(tmp_path: Path) -> None:
    home = await asyncio.to_thread(make_home, tmp_path, "[telemetry]\nrequests = false\n")
    async with up(home) as client, client.get("/api/v1/info") as answer:
        assert answer.status == 200
    assert await asyncio.to_thread(lines_of, home) == []


def test_the_log_turns_over_and_stays_within_its_bounds(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "agenthost.log"
    with kept("text", "critical", file):
        log = structlog.stdlib.get_logger("agenthost")
        for _ in range(120):
            log.info("filler", text="x" * 100_000)
    sizes = [each.stat().st_size for each in file.parent.iterdir()]
    assert len(sizes) == 4
    assert max(sizes) <= 2_100_000
