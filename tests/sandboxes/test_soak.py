"""Many sandboxes on every back end, in the middle of which things go wrong: nothing of them is left, and all end as they should.

The short form of `make soak`, through the benchmark's front door. tests/bench/test_leftovers.py shows that what is left is seen.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from testbeds.docker import IMAGE

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = {
    "bubblewrap": (),
    "docker": ("AGENTHOST_TEST_DOCKER",),
    "docker-runsc": ("AGENTHOST_TEST_DOCKER", "AGENTHOST_TEST_GVISOR"),
    "gvisor": ("AGENTHOST_TEST_GVISOR",),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize("box", REQUIRED)
def test_many_sandboxes_leave_nothing_behind(box: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    env = dict(os.environ)
    if box.startswith("docker"):
        env["DOCKER_HOST"] = request.getfixturevalue("docker_engine")
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--tiny", "--suite", "soak", "--box", box, "--image", IMAGE]
    done = subprocess.run(
        [*command, "--json", str(file)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    records = {record["metric"]: record for record in json.loads(file.read_text("utf-8"))}
    left = records["left behind, all together"]
    if left["value"] is None:
        needed = REQUIRED[box]
        assert not (needed and all(os.environ.get(name) == "required" for name in needed)), left["why"]
        pytest.skip(f"no sandbox {box} here: {left['why']}")
    assert records["sandboxes"]["value"] >= 11, "each kind of end was there"
    wanted = ("left behind, all together", "left when closed, all together", "came out wrong")
    assert [records[metric]["value"] for metric in wanted] == [0, 0, 0], done.stdout
    assert records["memory, growth"]["value"] < 16
