"""The suites that others wrote, installed and run against a host on its port: MCP's conformance suite, its inspector."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbeds.npm import NODE, npm_folder

from tests.faces.over_mcp.bearer import with_token
from tests.faces.over_mcp.conftest import Door, Opens
from tests.faces.over_mcp.everything import PNG

HERE = Path(__file__).parent
PACKAGES = {
    "@modelcontextprotocol/client": "2.3.1",
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/ext-tasks": "0.2.2",
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/inspector": "2.12.0",
}
EVERYTHING = '[mcp.servers]\neverything = "tests.faces.over_mcp.everything:server"\n'
REFERENCE = {"2026-07-28": 152, "2025-11-25": 84}
"""Checks of the server side that the reference SDK passes."""


@pytest.fixture(scope="session")
def packages() -> Path:
    return npm_folder(**PACKAGES) / "node_modules" / "@modelcontextprotocol"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Nothing of the tester's own settings, and nowhere to keep any."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    yield {"HOME": str(home), "PATH": os.environ["PATH"], "NO_PROXY": "*"}


async def ran(environment: dict[str, str], folder: Path, *line: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        *line,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(240):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), error.decode()


@pytest.mark.slow
@pytest.mark.parametrize("revision", list(REFERENCE))
async def test_the_conformance_suite_passes_in_full(
    opens: Opens, packages: Path, environment: dict[str, str], tmp_path: Path, revision: str
) -> None:
    suite = str(packages / "conformance" / "dist" / "index.js")
    async with opens(EVERYTHING) as door, with_token(door.url, door.token) as url:
        line = ("server", "--url", url, "--suite", "all", "--spec-version", revision)
        code, out, error = await ran(environment, tmp_path, suite, *line)
    summary = out.partition("=== SUMMARY ===")[2]
    failed = [line for line in summary.splitlines() if line.startswith("✗")]
    found = re.search(r"Total: (\d+) passed, (\d+) failed", summary)
    assert found is not None, out[-4000:] + error[-2000:]
    assert not failed
    assert (code, int(found[1]), int(found[2])) == (0, REFERENCE[revision], 0)


class Inspector:
    def __init__(self, packages: Path, environment: dict[str, str], folder: Path, door: Door, era: str) -> None:
        self._line = [str(packages / "inspector" / "clients" / "launcher" / "build" / "index.js"), "--cli", door.url]
        self._line += ["--transport", "http", "--header", f"Authorization: Bearer {door.token}", "--protocol-era", era]
        self._environment = environment
        self._folder = folder

    async def __call__(self, method: str, *more: str) -> Any:
        code, out, error = await ran(self._environment, self._folder, *self._line, "--method", method, *more)
        assert code == 0, error + out
        return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_inspector_sees_and_calls_what_there_is(
    opens: Opens, packages: Path, environment: dict[str, str], tmp_path: Path, era: str
) -> None:
    async with opens(EVERYTHING) as door:
        inspect = Inspector(packages, environment, tmp_path, door, era)
        tools = await inspect("tools/list")
        said = await inspect("tools/call", "--tool-name", "echo", "--tool-arg", "text=hello")
        greeted = await inspect("tools/call", "--tool-name", "greet", "--tool-arg", "name=Ada", "times=3")
        picture = await inspect("tools/call", "--tool-name", "test_image_content")
        await inspect("tools/call", "--tool-name", "writer", "--tool-arg", "text=note")
        resources = await inspect("resources/list")
        uri = next(one["uri"] for one in resources["resources"] if one["name"] == "notes/a b.txt")
        read = await inspect("resources/read", "--uri", uri)
        templates = await inspect("resources/templates/list")
        prompts = await inspect("prompts/list")
        prompt = await inspect("prompts/get", "--prompt-name", "greet", "--prompt-args", "name=Ada")
    assert {"echo", "greet", "judge", "agenthost_wait", "test_simple_text"} <= {one["name"] for one in tools["tools"]}
    assert said["content"][0]["text"] == "You said hello"
    assert greeted["content"][0]["text"] == "You said Hello Ada 3"
    assert picture["content"][0]["data"] == PNG
    assert read["contents"][0]["text"] == "Noted.\n"
    assert "agenthost://tasks/{task}" in {one["uriTemplate"] for one in templates["resourceTemplates"]}
    assert {"echo", "greet", "test_simple_prompt"} <= {one["name"] for one in prompts["prompts"]}
    assert "Ada" in prompt["messages"][0]["content"]["text"]


@pytest.mark.slow
@pytest.mark.parametrize(("era", "quick"), [("modern", "immediate"), ("legacy", "task")])
async def test_the_official_client_of_tasks_runs_them_in_both_revisions(
    opens: Opens, packages: Path, environment: dict[str, str], tmp_path: Path, era: str, quick: str
) -> None:
    async with opens() as door:
        line = (str(HERE / "tasks.mjs"), door.url, door.token, era, str(packages.parent))
        code, out, error = await ran(environment, tmp_path, *line)
    assert code == 0, error + out
    told = json.loads(out)
    assert (told["quick"]["kind"], told["quick"]["text"]) == (quick, "You said one")
    assert told["late"] == {"kind": "task", "status": "completed", "text": "You said blue"}
    assert told["cancelled"] == {"kind": "task", "outcome": "cancelled"}
    assert told["asked"] == ["Which colour?"]


@pytest.mark.slow
async def test_the_official_client_of_the_older_revision_does_all_that_it_can(
    opens: Opens, packages: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    async with opens() as door:
        line = (str(HERE / "sdk.mjs"), door.url, door.token, str(packages.parent))
        code, out, error = await ran(environment, tmp_path, *line)
    assert code == 0, error + out
    told = json.loads(out)
    assert told["server"]["name"] == "agenthost" and told["version"] == "2025-11-25"
    assert {"echo", "greet", "judge", "agenthost_wait"} <= set(told["tools"])
    assert told["said"] == "You said hello" and told["progress"] == sorted(set(told["progress"])) != []
    assert told["mark"] == {"mark": 7} and told["colour"] == "You said blue"
    assert told["wrong"]["isError"] and "'text' is a required property" in told["wrong"]["text"]
    assert (told["unknown"], told["missing"]) == (-32602, -32002)
    assert told["file"] == "Noted.\n" and "notes/a b.txt" in told["listed"]
    assert "agenthost://tasks/{task}" in told["templates"] and len(told["completed"]) == 1
    assert "Ada" in told["prompt"] and {"echo", "greet"} <= set(told["prompts"])
    assert {"info", "debug"} <= set(told["logged"])
    one, late, mark = told["tasks"]
    assert one["states"][0] == late["states"][0] == "taskCreated"
    assert (one["text"], late["text"]) == ("You said one", "You said blue")
    assert json.loads(mark["text"].splitlines()[0]) == {"mark": 7}
    assert told["asked"] == ["Which colour?"] * 2 and told["known"] >= 7
    assert told["ended"] == 400  # it forgot its session
