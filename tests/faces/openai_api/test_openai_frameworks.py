"""Frameworks that speak OpenAI's API, unchanged, against a real host."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from testbeds.pypi import python_with

from tests.faces.openai_api.conftest import PICTURE, Bench

SCRIPTS = Path(__file__).parent / "scripts"
BOTH = "It is fine in Rome\nfine in Oslo."
WORDS = ["one two three four five six", True]


async def ran(bench: Bench, script: str, folder: Path, *packages: str) -> Any:
    """What a script found, run with those packages."""
    python = await asyncio.to_thread(lambda: python_with("openai==3.54.0", *packages))
    environment = {
        "URL_": f"{bench.url}/v1",
        "TOKEN": bench.token,
        "PICTURE": "data:image/png;base64," + base64.b64encode(PICTURE).decode(),
        "HOME": str(folder),
        "LANGSMITH_TRACING": "false",
    }
    process = await asyncio.create_subprocess_exec(
        python, SCRIPTS / script, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.timeout(400)
async def test_openais_agents_work_unchanged(bench: Bench, tmp_path: Path) -> None:
    found = await ran(bench, "by_agents.py", tmp_path, "openai-agents==0.24.0")
    for by in ("chat", "responses"):
        assert found[by] == {
            "text": "You said: hello",
            "tools": BOTH,
            "settings": "It is fine in Rome.",
            "structured": 7,
            "stream": [BOTH, True],
            "handoff": "You said: hello",
            "session": ["You said: one", "You said: two"],
            "picture": "You said: look",
        }
    calls = [*["function_call"] * 2, *["function_call_output"] * 2]
    assert found["threads"] == {
        "kept": ["You said: one", BOTH],
        "items": ["message"] * 4 + calls + ["message"],
        "newest": "assistant",
        "previous": [BOTH, "You said: and?"],
        "conversation": [BOTH, "You said: and?"],
    }


@pytest.mark.timeout(400)
async def test_langchain_works_unchanged(bench: Bench, tmp_path: Path) -> None:
    found = await ran(bench, "by_langchain.py", tmp_path, "langchain-openai==1.7.3")
    assert (found.pop("stop"), found.pop("vector")) == ("one two", 64)
    for by in ("chat", "responses"):
        assert found[by] == {
            "text": ["You said: hello", True],
            "stream": WORDS,
            "tools": [BOTH, BOTH],
            "structured": [7, 7, 7],
            "picture": "You said: look",
            "chosen": [{"city": "Rome"}],
            "history": "You said: c",
            "batch": ["You said: a", "You said: b", "You said: c"],
        }


@pytest.mark.timeout(400)
async def test_pydantic_ai_works_unchanged(bench: Bench, tmp_path: Path) -> None:
    found = await ran(bench, "by_pydantic_ai.py", tmp_path, "pydantic-ai-slim[openai]==2.68.0")
    for by in ("chat", "responses"):
        assert found[by] == {
            "text": ["You said: hello", True],
            "tools": [BOTH, "You said: and?"],
            "structured": [7, 7, 7],
            "picture": "You said: look",
            "settings": "You said: hello",
            "stream": WORDS,
        }
