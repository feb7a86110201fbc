"""Fetching a model from the command line, stopped in the middle."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from aiohttp import web

from agenthost.testing.openai_server.service import serving

COMMAND = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
from agenthost.cli.main import main
sys.exit(main())
"""


async def test_ctrl_c_keeps_what_has_come_and_says_so(tmp_path: Path) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = 1_000_000
        await response.prepare(request)
        await response.write(b"GGUF" + bytes(50_000))
        await asyncio.sleep(600)
        return response

    application = web.Application()
    application.add_routes([web.get("/m.gguf", slow)])
    environ = os.environ | {"AGENTHOST_HOME": str(tmp_path)}
    async with serving(application) as url:
        command = (sys.executable, "-c", COMMAND, "model", "pull", f"{url}/m.gguf")
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=PIPE, stderr=STDOUT)
        try:
            part = tmp_path / "models" / ".m.gguf.part"
            async with asyncio.timeout(60):
                while not (part.exists() and part.stat().st_size == 50_004):
                    await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 130
    assert b"the same command goes on from there" in said
    assert b"Traceback" not in said
    assert part.stat().st_size == 50_004
