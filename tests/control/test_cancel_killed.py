"""`kill -9` between a cancel and its end: the next host ends what was cancelled, and nothing of the dead one is left."""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from testbeds.docker import IMAGE

from agenthost.core.lifecycle import FINAL
from agenthost.host.host import open_host
from agenthost.host.settings import load
from tests.control.bed import PATIENCE, SETTINGS, Bed, Outside, marked, sandbox_of, until
from tests.control.provider import provided
from tests.control.runs import MANIFESTS, PLAYBOOK, Hold
from tests.control.stopper import STOPPED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("sandbox", ["bubblewrap", "docker"])
async def test_what_was_cancelled_before_a_kill_is_cancelled_after_it(
    tmp_path: Path, sandbox: str, request: pytest.FixtureRequest
) -> None:
    seed = int(os.environ.get("CRASH_SEED") or time.time())
    print(f"CRASH_SEED={seed}")
    engine = request.getfixturevalue("docker_engine") if sandbox == "docker" else ""
    home, playbook = tmp_path / "home", tmp_path / "playbook.yaml"
    home.mkdir(mode=0o700)
    mark = f"9{os.getpid()}.{os.urandom(3).hex().translate(str.maketrans('abcdef', '123456'))}"
    playbook.write_text(PLAYBOOK.replace("MARK", mark))
    (home / "manifests.txt").write_text(MANIFESTS.replace("MARK", mark).replace("HERE", "http://127.0.0.1:9"))
    async with asyncio.timeout(PATIENCE), provided(playbook) as provider:
        toml = SETTINGS.replace("URL", provider.url).replace("PORT", "9")
        if engine:
            toml += f'[sandbox.docker]\nhost = "{engine}"\nimage = "{IMAGE}"\nwarm = 1\n'
        (home / "agenthost.toml").write_text(toml)
        with (home / "worker.log").open("ab") as log:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.control.stopper", str(home), sandbox, cwd=ROOT, stdout=log, stderr=log
            )
        try:
            await until(lambda: worker.returncode is not None or (provider.open >= 5 and len(marked(mark)) >= 6))
            (home / "there").touch()
            await until(lambda: worker.returncode is not None or (home / "cancelled").exists())
            assert worker.returncode is None, (home / "worker.log").read_text()[-4000:]
            await asyncio.sleep(random.Random(seed).choice((0, 0.02, 0.1)))
        finally:
            worker.kill()
            await worker.wait()
        asked = len(provider.asked)
        host = await open_host(load(home, {"AGENTHOST_SANDBOX": sandbox}), work=True)
        try:
            bed = Bed(host, provider, Outside(), mark, "")
            await until(lambda: not host.engine.working())
            rows = [row for row in await bed.rows() if not row.parent]
            assert [row.state for row in rows] == ["canceled"] * (len(STOPPED) + 1), rows
            assert all(row.state in FINAL for row in await bed.rows())
            assert len(provider.asked) == asked, "a model was called for what is cancelled"
            assert not Hold.now
            if engine:
                # Looking for the engine clears what the dead host had in it.
                assert (await host._adapters.sandbox.available()).available
                assert await of_others(host, engine) == []
            await until(lambda: not bed.processes())
            await bed.quiet()
            left = await bed.left()
            assert not any(left.values()), {what: those for what, those in left.items() if those}
        finally:
            await host.close()


async def of_others(host: object, engine: str) -> list[str]:
    """Containers of this home that aren't this host's."""
    labels: dict[str, str] = sandbox_of(host)._maker._engine._labels  # type: ignore[arg-type]
    home, owner = list(labels.items())[:2]
    filters = json.dumps({"label": [f"{home[0]}={home[1]}"]})
    connector = aiohttp.UnixConnector(engine.removeprefix("unix://"))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get("http://e/containers/json", params={"all": "true", "filters": filters}) as answer,
    ):
        return [each["Id"] for each in await answer.json() if each["Labels"].get(owner[0]) != owner[1]]
