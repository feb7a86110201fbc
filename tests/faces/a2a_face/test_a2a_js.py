"""npm's official client, for both versions and both bindings of HTTP."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from testbeds.npm import NODE, npm_folder

from tests.faces.a2a_face.conftest import TOKEN, Serving

PACKAGES = {"@a2a-js/sdk": "1.3.0"}
WAYS = [(version, binding) for version in ("1.0", "0.3") for binding in ("JSONRPC", "HTTP+JSON")]
INPUT, DONE = 6, 3  # TaskState of the protocol's proto


async def driven(serving: Serving, folder: Path, *words: str) -> list[Any]:
    script = folder / "drive.mjs"
    shutil.copy(Path(__file__).with_name("drive.mjs"), script)
    command = [str(NODE), str(script), serving.url, *words, TOKEN]
    made = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await made.communicate()
    assert made.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])
async def test_npms_client_asks_streams_and_reads(serving: Serving, tmp_path: Path, way: tuple[str, str]) -> None:
    packages = await asyncio.to_thread(lambda: npm_folder(**PACKAGES))
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    version, binding = way
    asked, *states, streamed, read, missing = await driven(serving, tmp_path, "asker", binding, version)
    assert asked == {"state": INPUT, "question": "Which colour?"}
    assert states[-1] == {"state": DONE}
    assert streamed["streamed"][0] == "task" and streamed["streamed"][-1] == "statusUpdate"
    assert read == {"answer": "You said blue", "history": ["go", "Which colour?", "blue"]}
    assert missing["error"] == "TaskNotFoundError"
