"""The real command as a subprocess, with a home of its own and no model but the one that is named."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PLAYBOOK = Path(__file__).parent / "playbook.yaml"

_MODELS = ("AGENTHOST_", "OPENAI_")


def environment(home: Path, model: str = "") -> dict[str, str]:
    """This process's environment without its models; `agenthost` is the one of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_MODELS)}
    kept |= {"AGENTHOST_HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return kept | ({"AGENTHOST_MODEL": model} if model else {})


def agenthost(home: Path, *words: str, model: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agenthost.cli", *words],
        env=environment(home, model),
        cwd=cwd or ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
