"""Writing where the host, another task or the next run would read it."""

import os
import re
from pathlib import Path

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import CALL, attempt
from agenthost.testing.sandboxes import shell


class WriteAttacks:
    """Only /workspace, /tmp and /dev/shm can be written, and nothing that is left there leads out."""

    async def test_nothing_outside_the_workspace_can_be_written(self, sandbox: Sandbox, workspace: Path) -> None:
        """A root that can be written would print `wrote`, one that is the user's own `changed`."""
        code = """
import os, sys
places = ['/', '/usr', '/usr/bin', '/etc', '/opt', '/opt/agenthost', '/opt/agenthost/bin', '/opt/agenthost/packages', '/proc', '/var', '/root', '/home', '/run', '/sys', sys.base_prefix, os.path.dirname(os.__file__)]
for place in places:
    try: open(place + '/x', 'w'); print('wrote', place)
    except OSError as e: pass
    try: os.chmod(place, 0o777); print('changed', place)
    except OSError as e: pass
for place in ('/workspace', '/tmp', '/dev/shm'):
    open(place + '/x', 'w').write('1'); print('ok')
"""
        assert (await attempt(sandbox, workspace, code)).split() == ["ok"] * 3
        assert os.listdir(workspace) == ["x"]

    async def test_other_workspaces_are_not_there(self, sandbox: Sandbox, workspace: Path) -> None:
        """With all workspaces mounted, the neighbour's file would be found."""
        workspaces = workspace.parent
        other = workspaces / "other"
        other.mkdir()
        (other / "theirs").write_text("x")
        line = f"find / -name theirs 2>/dev/null; ls /workspace/.. ; ls {other} {workspaces}; echo end"
        said = (await shell(sandbox, workspace, line)).stdout.decode()
        assert "theirs" not in said
        assert said.endswith("end\n")

    async def test_links_left_in_the_workspace_do_not_lead_the_next_run_out(
        self, sandbox: Sandbox, workspace: Path, tmp_path: Path
    ) -> None:
        """Whoever carries files between the host and the run and follows links would read the outside file
        into the run, write it, or change its owner."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_text("mine")
        before = outside.stat()
        await shell(
            sandbox,
            workspace,
            f"ln -s {outside} way; ln -s {outside}/file f; ln -s / root; ln -s /etc/passwd p; ln /etc/passwd hard",
        )
        outcome = await shell(sandbox, workspace, "cat way/file f; echo x > f; echo y > way/new; ls hard")
        assert b"mine" not in outcome.stdout
        self.untouched(outside, before)

    async def test_a_folder_exchanged_for_a_link_leads_no_file_out(
        self, sandbox: Sandbox, workspace: Path, tmp_path: Path
    ) -> None:
        """The folder's files come back through a link that the run put in its place: followed, `planted` would
        stand in the outside folder, or its file be gone."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_text("mine")
        before = outside.stat()
        (workspace / "d").mkdir()
        (workspace / "d" / "file").write_text("theirs")
        (workspace / "d" / "keep").write_text("theirs")
        await shell(sandbox, workspace, f"rm -r d; ln -s {outside} d; echo planted > d/planted; rm -f d/file")
        await shell(sandbox, workspace, "rm -f d; mkdir d; echo planted > d/file; echo planted > d/planted")
        self.untouched(outside, before)

    def untouched(self, outside: Path, before: os.stat_result) -> None:
        """The outside folder with its one file is as it was."""
        assert (outside / "file").read_text() == "mine"
        assert os.listdir(outside) == ["file"]
        after = outside.stat()
        assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
        assert (outside / "file").stat().st_uid == os.getuid()

    async def test_devices_and_pipes_left_behind_do_no_harm(self, sandbox: Sandbox, workspace: Path) -> None:
        """Whoever reads a pipe that nobody writes, waits for ever; this test would not end."""
        line = "mkfifo pipe; python -c \"import socket; socket.socket(1).bind('sock')\"; echo ok > file; ls"
        outcome = await shell(sandbox, workspace, line)
        assert b"file" in outcome.stdout
        outcome = await shell(sandbox, workspace, "cat file")
        assert outcome.stdout == b"ok\n"

    async def test_set_id_files_can_not_be_made(self, sandbox: Sandbox, workspace: Path) -> None:
        """On the host's disk such a file would be another user's rights for whoever runs it there."""
        code = (
            CALL
            + """
open('f', 'w').close()
path = os.fsencode('/workspace/f')
call(90, 53, *((path, 0o4755) if X86 else (-100, path, 0o4755))); call(268, 53, -100, path, 0o2755)
call(91, 52, os.open('f', os.O_RDWR), 0o6755)
call(257, 56, -100, b'/workspace/g', os.O_CREAT | os.O_WRONLY, 0o4755)
call(437, 437, -100, b'/workspace/h', 0, 24); call(452, 452, -100, path, 0o4755, 0)
print('ok')
"""
        )
        assert await attempt(sandbox, workspace, code) == "ok"
        assert (workspace / "f").exists()
        assert not [name for name in os.listdir(workspace) if (workspace / name).stat().st_mode & 0o6000]

    async def test_set_id_programs_gain_nothing(self, sandbox: Sandbox, workspace: Path) -> None:
        """Without no_new_privs, `su` and `mount` start as root: the id or the mount would be seen."""
        line = "find / -xdev -perm -4000 2>/dev/null | head -3; for p in $(find / -xdev -perm -4000 2>/dev/null); do $p </dev/null 2>&1; done | grep -i uid=0; su -c id root </dev/null 2>&1; mount -t tmpfs x /tmp 2>&1; grep -c ' /tmp tmpfs x' /proc/self/mountinfo; grep Cap /proc/self/status; id -u"
        said = (await shell(sandbox, workspace, line)).stdout.decode()
        assert "uid=0" not in said
        assert set(re.findall(r"Cap\w+:\t(\w+)", said)) == {"0000000000000000"}
        assert said.splitlines()[-1] != "0"
