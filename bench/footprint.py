"""What a person waits for before anything happens: imports, and the command's help."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.processes import ROOT, NotMeasured, environment
from bench.records import median, pairwise
from bench.setting import OURS, Setting

SUITE = "start"
PLAIN = "python -c pass"


def launch(command: Sequence[str]) -> float:
    """Milliseconds that a command takes, start to end. Raises NotMeasured where it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
    took = (time.perf_counter() - began) * 1000
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise NotMeasured(said[-1][:300] if said else f"it ended with {done.returncode}")
    return took


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    plain = [sys.executable, "-c", "pass"]
    _help(setting, plain)
    for subject in setting.subjects:
        setting.tell(f"importing {subject.name}")
        try:
            command = [str(setting.python(subject)), "-c", f"import {subject.imports}"]
            launch(command)
            times = [launch(command) for _ in range(max(1, setting.scale.launches // 3))]
        except NotMeasured as reason:
            setting.results.missing(SUITE, subject.name, "import", "ms", str(reason))
        else:
            setting.results.add(SUITE, subject.name, "import", median(times), "ms")


def _help(setting: Setting, plain: list[str]) -> None:
    setting.tell("agenthost --help")
    command = [str(Path(sys.executable).parent / "agenthost"), "--help"]
    try:
        launch(command)
        pairs = [(launch(command), launch(plain)) for _ in range(setting.scale.launches)]
    except (NotMeasured, OSError) as reason:
        setting.results.missing(SUITE, OURS, "--help", "ms", str(reason))
        return
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    setting.results.add(SUITE, PLAIN, "run", median(theirs), "ms")
    setting.results.add(SUITE, OURS, "--help", median(ours), "ms")
    setting.results.add(SUITE, OURS, "--help, times python -c pass", pairwise(ours, theirs), "x")
