"""Whatever is left behind is seen: each kind is planted once. In a process of its own, which adopts what it counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, os, subprocess, sys, threading, time
from pathlib import Path
from bench import leftovers
folder = Path(sys.argv[1])
leftovers.adopt()
where = leftovers.Where(os.getpid(), [folder])
before = leftovers.count(where)
nothing = {kind: found.total() for kind, found in leftovers.more(before, leftovers.count(where)).items()}
PLANTED
planted = {kind: dict(found) for kind, found in leftovers.more(before, leftovers.count(where)).items()}
TIDIED
left = {kind: found.total() for kind, found in leftovers.more(before, leftovers.count(where)).items()}
print(json.dumps([nothing, planted, left]))
"""

PLANTS = {
    "processes": (
        # Its parent is gone, and it has left its session: it is found all the same.
        "made = subprocess.run([sys.executable, '-c', 'import os, time\\nif os.fork() == 0:\\n  os.setsid()\\n  "
        "print(os.getpid(), flush=True); os.close(1); time.sleep(1000)'], stdout=subprocess.PIPE, check=True)",
        "pid = int(made.stdout); os.kill(pid, 9)\nwhile not leftovers.reap(()): time.sleep(0.01)",
    ),
    "files": (
        "(folder / 'a').mkdir(); (folder / 'a' / 'b').touch()",
        "(folder / 'a' / 'b').unlink(); (folder / 'a').rmdir()",
    ),
    "open files": ("kept = os.pipe()", "[os.close(one) for one in kept]"),
    "threads": (
        "over = threading.Event(); thread = threading.Thread(target=over.wait); thread.start()",
        "over.set(); thread.join()",
    ),
}


def counted(folder: Path, planted: str, tidied: str) -> list[dict[str, object]]:
    program = PROGRAM.replace("PLANTED", planted).replace("TIDIED", tidied)
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize("kind", PLANTS)
def test_what_is_left_behind_is_seen(kind: str, tmp_path: Path) -> None:
    nothing, planted, left = counted(tmp_path, *PLANTS[kind])
    assert not any(nothing.values())
    assert planted[kind], planted
    assert not any(left.values())


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_mount_in_another_namespace_is_seen(tmp_path: Path) -> None:
    words = "['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs none /mnt && echo up && read x']"
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    plant = f"made = subprocess.Popen({words}, stdin=subprocess.PIPE, stdout=subprocess.PIPE); made.stdout.readline()"
    nothing, planted, left = counted(tmp_path, plant, "made.stdin.close(); made.wait(); made.stdout.close()")
    assert not any(nothing.values())
    mounts = planted["mounts"]
    assert isinstance(mounts, dict)
    assert mounts["namespace"] == 1
    assert mounts["tmpfs"] >= 1
    assert not any(left.values())
