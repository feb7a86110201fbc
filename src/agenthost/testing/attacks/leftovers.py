"""What one run leaves for the next, for its neighbour, or for the host."""

import os
from pathlib import Path

import pytest

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import attempt
from agenthost.testing.sandboxes import python, shell


class Leftovers:
    """Only the workspace's files stay."""

    async def test_nothing_is_left_for_the_next_run(self, sandbox: Sandbox, workspace: Path) -> None:
        """In a machine that is used again as it is, the next run would find the files, the name, the process
        and what was put into Python's own modules."""
        leave = """
import os, socket, subprocess, sys
open('/tmp/left', 'w').close(); open('/dev/shm/left', 'w').close()
os.mkdir('/tmp/shut'); open('/tmp/shut/left', 'w').close(); os.chmod('/tmp/shut', 0)
s = socket.socket(socket.AF_UNIX); s.bind('\\0left'); s.listen()
import builtins, json; builtins.left = json.left = sys.left = 1
os.environ['LEFT'] = '1'
subprocess.Popen(['sleep', '100'], start_new_session=True)
"""
        assert (await python(sandbox, workspace, leave)).exit_code == 0
        look = """
import os, sys, socket, builtins, json
print([n for n in os.listdir('/tmp') if n != '.shm'], os.listdir('/dev/shm'), os.environ.get('LEFT'), hasattr(builtins, 'left'), hasattr(json, 'left'), hasattr(sys, 'left'))
print([p for p in os.listdir('/proc') if p.isdigit() and b'sleep' in open('/proc/' + p + '/cmdline', 'rb').read()])
s = socket.socket(socket.AF_UNIX)
try: s.connect('\\0left'); print('there')
except OSError as e: print('gone')
"""
        said = await attempt(sandbox, workspace, look)
        assert said == "[] [] None False False False\n[]\ngone"

    async def test_daemons_that_hide_are_gone_too(self, sandbox: Sandbox, workspace: Path) -> None:
        """Forked twice, in a session of its own, ignoring every signal, and forking on while it is hunted:
        one that lives would answer the next run on its socket, or write into the workspace."""
        hide = """
import os, signal, socket, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(1, 65):
            try: signal.signal(n, signal.SIG_IGN)
            except (OSError, ValueError): pass
        s = socket.socket(socket.AF_UNIX); s.bind('\\0daemon'); s.listen()
        open('ready', 'w').close()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if os.fork(): os._exit(0)
            open('beat', 'a').write('x'); time.sleep(0.01)
    os._exit(0)
while not os.path.exists('ready'): time.sleep(0.01)
"""
        assert (await python(sandbox, workspace, hide)).exit_code == 0
        look = """
import os, socket, time
before = os.path.getsize('beat') if os.path.exists('beat') else 0
time.sleep(0.3)
print(os.path.getsize('beat') - before if os.path.exists('beat') else 0)
try: socket.socket(socket.AF_UNIX).connect('\\0daemon'); print('there')
except OSError: print('gone')
"""
        assert (await attempt(sandbox, workspace, look)).split() == ["0", "gone"]

    async def test_code_is_not_run_as_a_user_who_owns_something_here(self, sandbox: Sandbox, workspace: Path) -> None:
        """Run as the host's root, what it makes would belong to root; so would what it breaks out to."""
        if os.geteuid() != 0:
            pytest.skip("not root: whoever runs this owns the workspace")
        (workspace / "ours").write_text("from the host")
        outcome = await shell(sandbox, workspace, "touch made; cat ours && echo more >> ours && id -u")
        assert outcome.exit_code == 0, outcome
        assert outcome.stdout.split()[-1] != b"0"
        assert (workspace / "ours").read_text() == "from the hostmore\n"

    async def test_neighbours_do_not_share_tmp(self, sandbox: Sandbox, workspace: Path) -> None:
        """Two tasks on one /tmp would read each other's files there."""
        other = workspace.parent / "other"
        other.mkdir()
        await shell(sandbox, other, "echo theirs > /tmp/theirs; echo theirs > /dev/shm/theirs")
        said = (await shell(sandbox, workspace, "ls /tmp /dev/shm; echo end")).stdout.decode()
        assert "theirs" not in said
        assert said.endswith("end\n")

    async def test_what_was_planted_in_the_runtime_is_gone(self, sandbox: Sandbox, workspace: Path) -> None:
        """A start-up file that Python reads from the home, the site or the working folder's parent would greet
        the next run."""
        plant = """
import os, site, sys
for place in {os.path.expanduser('~'), site.getusersitepackages(), *sys.path[1:], '/tmp', '/opt/agenthost/python'}:
    for name in ('sitecustomize.py', 'usercustomize.py', 'evil.pth', '.bashrc', '.profile'):
        try:
            os.makedirs(place, exist_ok=True); open(place + '/' + name, 'w').write('import sys; sys.planted = 1')
        except OSError: pass
print('ok')
"""
        assert await attempt(sandbox, workspace, plant) == "ok"
        for argv in ("exec python -c", "python -c"):
            outcome = await shell(sandbox, workspace, f'{argv} "import sys; print(hasattr(sys, \\"planted\\"))"')
            assert outcome.stdout == b"False\n", outcome
