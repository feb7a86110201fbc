"""A host that dies while it takes an export in has all of it or nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.core.ports import Filter
from tests.host.conftest import Opens
from tests.host.importing.conftest import RECORDINGS, taken

DIES = """
import os, sys
from agenthost.stores.sqlite import imports
whole = imports._take_in

def dies(*given):
    whole(*given)  # written, and not committed
    os._exit(9)

imports._take_in = dies
from agenthost.cli.main import main
main(["tasks", "import", sys.argv[1]])
"""


async def test_nothing_is_half_there_after_a_death_in_the_middle(opens: Opens, tmp_path: Path) -> None:
    await (await opens()).close()
    file = RECORDINGS / "workflow.zip"
    environ = os.environ | {"AGENTHOST_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", DIES, str(file)], env=environ, capture_output=True, check=False)
    assert done.returncode == 9, done.stderr.decode()
    host = await opens(work=True)
    assert await host.tasks(Filter()) == []
    found = await taken(host, file.read_bytes())
    assert len(await host.tasks(Filter())) == found.tasks == 3
    assert all(report.agrees for report in await host.replay(found.row.id))


@pytest.mark.parametrize("broken", ["MOST_READ", "MOST_MEMBERS"])
async def test_a_bomb_is_refused_before_it_is_unpacked(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    from agenthost.core.errors import Unusable
    from agenthost.host.replaying import format

    monkeypatch.setattr(format, broken, 3)
    with pytest.raises(Unusable, match="holds more than an export may"):
        await taken(await opens(), (RECORDINGS / "workflow.zip").read_bytes())
