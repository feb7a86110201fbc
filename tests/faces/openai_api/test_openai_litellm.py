"""LiteLLM, unchanged, against a real host."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from testbeds.pypi import python_with

from tests.faces.openai_api.conftest import PICTURE, Bench

SCRIPT = Path(__file__).parent / "scripts" / "by_litellm.py"


@pytest.mark.timeout(400)
async def test_litellm_works_unchanged(bench: Bench, tmp_path: Path) -> None:
    python = await asyncio.to_thread(lambda: python_with("litellm==1.106.2", "mcp==2.3.0"))
    environment = {
        "URL_": f"{bench.url}/v1",
        "TOKEN": bench.token,
        "PICTURE": "data:image/png;base64," + base64.b64encode(PICTURE).decode(),
        "HOME": str(tmp_path),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    process = await asyncio.create_subprocess_exec(
        python, SCRIPT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4000:]
    # It says more on its output where something is refused.
    assert json.loads(out.splitlines()[-1]) == {
        "text": ["You said: hello", True],
        "stream": ["one two three four five six", True],
        "tools": "It is fine in Rome\nfine in Oslo.",
        "picture": "You said: look",
        "responses": "You said: two",
        "missing": True,
    }
    contents = [each["content"] for each in bench.asked()[-1]["messages"]]
    assert contents[-3:] == ["one", "You said: one", "two"]
    assert len(await bench.tasks()) == 6
