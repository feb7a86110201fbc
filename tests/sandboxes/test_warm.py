"""Python that is run in the waiting interpreter behaves as a fresh `python` does: each case is run both ways."""

import re
from pathlib import Path

import pytest

from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.sandboxes.inside import warm
from agenthost.testing.sandboxes import POLICY

SCRIPTS = {
    "names": "import sys, os\nprint(sys.argv, sys.path, sys.flags, sys.executable, sys.orig_argv[1:], sys.dont_write_bytecode)\nprint({k: repr(v) for k, v in sorted(globals().items()) if k not in ('__builtins__', '__loader__')}, type(__loader__), __builtins__)\nprint(os.environ)",
    "modules": "import sys\nprint([n for n in ('json', 'socket', 'ctypes', 'select', 'signal', 'struct', 'resource', 'agenthost') if n in sys.modules])",
    "crash": "def f():\n    return 1 / 0\nf()",
    "chain": "try:\n    {}['x']\nexcept KeyError as e:\n    raise ValueError('no') from e",
    "syntax": "def f(:\n  pass",
    "exit_code": "import sys\nsys.exit(7)",
    "exit_text": "import sys\nsys.exit('bye')",
    "exit_none": "raise SystemExit",
    "hook": "import sys\nsys.excepthook = lambda *a: print('hooked', a[0].__name__)\n1 / 0",
    "atexit": "import atexit, threading, time\natexit.register(print, 'at exit')\nthreading.Thread(target=lambda: (time.sleep(.1), print('thread'))).start()\nprint('main')",
    "multi": "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n  with m.Pool(2) as p: print(p.map(f, [1, 2, 3]))\n  q = m.Queue(); q.put(1); print(q.get())",
    "spawn": "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n  with m.get_context('spawn').Pool(1) as p: print(p.map(f, [1, 2]))",
    "shadow": "import json\nprint(json.mine)",
    "libs": "import ctypes, socket, select, struct, resource, signal, json, asyncio, subprocess, random, array\nprint(ctypes.sizeof(ctypes.c_int), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGPIPE), signal.pthread_sigmask(0, []))\nprint(subprocess.run(['echo', 'x'], capture_output=True).stdout)\nprint(asyncio.run(asyncio.sleep(0, 'slept')))",
    "streams": "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): print(s.encoding, s.errors, s.line_buffering, s.isatty(), s.mode, s.name)\nprint(sys.stdin.read(), sys.stdout.seekable())",
    "files": "import sys, os\nprint(__file__, os.getcwd(), os.getpid() > 1, os.getppid(), oct(os.umask(0)))",
    "interrupt": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(5)",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "abort": "import os\nos.abort()",
    "deep": "def f(n): return f(n + 1)\ntry: f(0)\nexcept RecursionError as e: print(e)",
    "bytes": "print('\\udc80'.encode('utf-8', 'surrogateescape')); print('ä€'); print('\\udcff')",
}


async def both(sandbox: Bubblewrap, workspace: Path, argv: tuple[str, ...]) -> None:
    """Compare with a run whose environment asks for exec."""
    seen: list[tuple[int, bytes, bytes]] = []
    for env in ((), (("PYTHONWARNINGS", ""),)):
        run = SandboxRun(argv, str(workspace), SandboxPolicy(timeout=30), stdin=b"some input", env=env)
        outcome = await sandbox.run(run)
        said = re.sub(rb", 'PYTHONWARNINGS': ''| at 0x[0-9a-f]+", b"", outcome.stdout)
        seen.append((outcome.exit_code, said, outcome.stderr))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_runs_as_plain_python_would(sandbox: Bubblewrap, workspace: Path, name: str) -> None:
    (workspace / "pkg").mkdir()
    if name == "shadow":
        (workspace / "pkg" / "json.py").write_text("mine = 'my own'\n")
    (workspace / "pkg" / "main.py").write_text(SCRIPTS[name])
    await both(sandbox, workspace, ("python", "pkg/main.py", "a", "b c"))


@pytest.mark.parametrize("name", ["names", "modules", "crash", "syntax", "exit_text", "atexit", "streams"])
async def test_code_and_modules_run_as_plain_python_would(sandbox: Bubblewrap, workspace: Path, name: str) -> None:
    (workspace / "mod.py").write_text(SCRIPTS[name])
    await both(sandbox, workspace, ("python3", "-m", "mod", "x"))
    await both(sandbox, workspace, ("python3", "-c", SCRIPTS[name], "x"))


async def test_a_missing_script_is_told_as_python_tells_it(sandbox: Bubblewrap, workspace: Path) -> None:
    outcome = await sandbox.run(SandboxRun(("python", "no.py"), str(workspace), POLICY))
    assert outcome.exit_code == 2
    assert b"can't open file '/workspace/no.py'" in outcome.stderr


def test_only_a_shell_line_that_means_itself_is_taken_for_python() -> None:
    def plain(line: str) -> bool:
        return warm.plain(("sh", "-c", line), ("python", "python3"))[0] != "sh"

    assert plain("python main.py --n=1 a/b.txt")
    assert plain("python3 -m pytest -q")
    for line in (
        "python main.py | cat",
        "python $X",
        "python 'a b'",
        "python *.py",
        "python ~/x",
        "python a;b",
        "python a\nls",
        "A=1 python x.py",
        "ls",
        "python x.py >o",
        "python x.py &",
        "python {a,b}",
        "python x #y",
        "python \\x",
    ):
        assert not plain(line), line
