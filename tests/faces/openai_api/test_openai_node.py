"""The official package of npm and the AI SDK, unchanged, against a real host."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from testbeds.npm import NODE, npm_folder

from tests.faces.openai_api.conftest import PICTURE, Bench

HERE = Path(__file__).parent / "node"
PACKAGE = {"openai": "7.57.0", "zod": "4.6.7"}
AI = {"ai": "7.0.173", "@ai-sdk/openai": "4.0.118", "@ai-sdk/openai-compatible": "3.0.92", "zod": "4.6.7"}


async def ran(bench: Bench, script: str, packages: dict[str, str], tmp_path: Path) -> Any:
    """What a script printed that may import those packages."""
    folder = await asyncio.to_thread(lambda: npm_folder(**packages))
    copy = tmp_path / "node"
    await asyncio.to_thread(_copied, copy, folder)
    environment = {
        "URL_": f"{bench.url}/v1",
        "TOKEN": bench.token,
        "PICTURE": "data:image/png;base64," + base64.b64encode(PICTURE).decode(),
        "HOME": str(tmp_path),
        "AI_SDK_LOG_WARNINGS": "false",
    }
    process = await asyncio.create_subprocess_exec(
        NODE,
        copy / script,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4000:]
    return json.loads(out)


def _copied(folder: Path, packages: Path) -> None:
    folder.mkdir()
    (folder / "node_modules").symlink_to(packages / "node_modules")
    for file in HERE.glob("*.mjs"):
        (folder / file.name).write_text(file.read_text())


@pytest.mark.timeout(400)
async def test_the_official_package_of_npm_works_unchanged(bench: Bench, tmp_path: Path) -> None:
    assert await ran(bench, "package.mjs", PACKAGE, tmp_path) == {
        "models": ["asker", "boss", "counter", "helper", "pair", "poor"],
        "chat": "You said: hello",
        "usage": True,
        "pieces": True,
        "streamed": "one two three four five six",
        "tools": "It is fine in Rome\nfine in Oslo.",
        "streamedTools": "It is fine in Rome\nfine in Oslo.",
        "parsed": {"n": 7},
        "picture": "You said: look",
        "responses": ["You said: one", "You said: two"],
        "responseStream": ["one two three four five six"] * 2,
        "background": "one two three four five six",
        "file": ["notes.txt", "remember the milk", "You said: read\nFile notes.txt (text/plain):\nremember the milk"],
        "files": [],
        "conversation": [["user", "What is left?"], ["user", "one"], ["assistant", "You said: What is left?\none"]],
        "gone": True,
        "vectors": [64, 64],
        "errors": {
            "model": ["NotFoundError", 404, "model_not_found", "model"],
            "n": ["BadRequestError", 400, "invalid_value", "n"],
            "key": ["AuthenticationError", 401, "invalid_api_key", None],
            "task": ["InternalServerError", 500, "auth", None],
            "stream": ["APIError", None, "auth", None],
        },
    }


@pytest.mark.timeout(400)
async def test_the_ai_sdk_works_unchanged_by_both_of_its_providers(bench: Bench, tmp_path: Path) -> None:
    found = await ran(bench, "ai.mjs", AI, tmp_path)
    assert found.pop("reasoning") == ["Let me see.", "Seen."]
    for made in found.values():
        assert made == {
            "text": ["You said: hello", "stop", True],
            "stream": ["one two three four five six", True, True],
            "tools": ["It is fine in Rome\nfine in Oslo.", 2, ["Rome", "Oslo"]],
            "streamedTools": ["It is fine in Rome\nfine in Oslo.", 2],
            "object": {"n": 7},
            "picture": "You said: look",
            "again": "You said: again",
            "error": ["AI_APICallError", 500],
        }
    assert list(found) == ["chat", "responses"]
    # Two steps of a chat with tools are one task.
    assert len(await bench.tasks()) == 17
