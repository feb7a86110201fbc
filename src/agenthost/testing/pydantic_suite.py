"""pydantic-ai's published suite for workspaces, on a sandbox of ours; where its rules aren't ours, what holds instead."""

import asyncio
import posixpath
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic_ai.workspaces import Workspace, WorkspaceBackend, WorkspaceRef, WorkspaceUnavailableError
from pydantic_ai.workspaces.conformance import WorkspaceBackendSuite

from agenthost.core.ports import Sandbox
from agenthost.testing.pydantic_workspaces import SandboxWorkspace


class WorkspaceSuite(WorkspaceBackendSuite):
    """Subclass it and give the fixtures `sandbox` and `workspace`."""

    @pytest.fixture
    def backend(self, sandbox: Sandbox, workspace: Path) -> WorkspaceBackend:
        return SandboxWorkspace(sandbox, workspace)

    @pytest.fixture
    def fresh_backend(self, sandbox: Sandbox, workspace: Path) -> Callable[[], WorkspaceBackend]:
        return lambda: SandboxWorkspace(sandbox, workspace.parent / f"fresh-{uuid.uuid4().hex}")

    @pytest.fixture
    def attach_backend(self, sandbox: Sandbox) -> Callable[[WorkspaceRef], WorkspaceBackend]:
        return lambda ref: SandboxWorkspace(sandbox, Path(ref.id), ref)

    @pytest.fixture
    def destroy_environment(self) -> Callable[[WorkspaceBackend], Awaitable[None]]:
        async def destroy(backend: WorkspaceBackend) -> None:
            assert isinstance(backend, SandboxWorkspace)
            await backend.destroy()

        return destroy

    async def test_background_child_does_not_hold_up_completed_command(  # pyright: ignore[reportIncompatibleMethodOverride] - pytest fills in by name
        self, backend: WorkspaceBackend
    ) -> None:
        """Theirs has the child live on when the command has ended. Ours ends with it: nothing of a run stays
        but its files. What holds of both: the command isn't held up by a child that keeps its output open."""
        assert isinstance(backend, SandboxWorkspace)
        result = await backend.run(
            [
                "sh",
                "-c",
                "(while :; do echo x >> beat; sleep 0.02; done) & until [ -e beat ]; do sleep 0.02; done; printf done",
            ]
        )
        assert (result.exit_code, result.stdout) == (0, "done")
        before = (await Workspace(backend).stat("/workspace/beat")).size
        await asyncio.sleep(0.3)
        assert (await Workspace(backend).stat("/workspace/beat")).size == before

    async def test_a_backend_attached_by_ref_reaches_a_detached_process(  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        self, backend: WorkspaceBackend, attach_backend: Callable[[WorkspaceRef], WorkspaceBackend]
    ) -> None:
        """Theirs has a process live on between commands and signals it from a second backend. Ours leaves none:
        the second backend, in the same environment, sees what the process wrote, and that it is gone."""
        assert isinstance(backend, SandboxWorkspace)
        beating = (
            "(setsid sh -c 'while :; do echo x >> beat; sleep 0.02; done' &); until [ -e beat ]; do sleep 0.02; done"
        )
        await backend.run(["sh", "-c", beating])
        assert backend.ref is not None
        attached = attach_backend(backend.ref)
        before = (await Workspace(attached).stat("/workspace/beat")).size
        assert before
        await asyncio.sleep(0.3)
        assert (await Workspace(attached).stat("/workspace/beat")).size == before

    async def test_cancellation_stops_foreground_work(  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        self, backend: WorkspaceBackend
    ) -> None:
        """Theirs looks for the pid from the next command. Our runs have pids of their own, so another process
        would be seen under that number; what is looked at instead is what the command does."""
        assert isinstance(backend, SandboxWorkspace)
        workspace = Workspace(backend)
        beats = posixpath.join(await workspace.working_dir(), "beat")
        await workspace.write_bytes(beats, b"x")
        command = asyncio.get_running_loop().create_task(
            backend.run(["sh", "-c", "while :; do echo x >> beat; sleep 0.02; done"])
        )
        await asyncio.sleep(0.5)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        before = (await workspace.stat(beats)).size
        assert before
        await asyncio.sleep(0.3)
        assert (await workspace.stat(beats)).size == before

    async def test_destroying_environment_during_command_raises_unavailable(
        self,
        destructive_backend: Callable[[], WorkspaceBackend] | None,
        destroy_environment: Callable[[WorkspaceBackend], Awaitable[None]] | None,
        has_real_posix_shell: bool,
    ) -> None:
        """Theirs waits for a file that the running command has made. Back ends that carry files in and out
        show it at the command's end, so the command is given a second to begin."""
        assert destructive_backend is not None and destroy_environment is not None
        backend = destructive_backend()
        assert isinstance(backend, SandboxWorkspace)
        await backend.working_dir()
        command = asyncio.get_running_loop().create_task(backend.run(["sleep", "30"]))
        await asyncio.sleep(1)
        assert not command.done()
        await destroy_environment(backend)
        with pytest.raises(WorkspaceUnavailableError):
            await command


class CopiedWorkspaceSuite(WorkspaceSuite):
    """For back ends that carry files in before a command and out after it."""

    @pytest.fixture
    def filesystem_honors_shell_permissions(self) -> bool:
        """Between two commands a file is on the host, which keeps contents and not who may read them."""
        return False

    async def test_symlink_loop_does_not_break_listing(  # pyright: ignore[reportIncompatibleMethodOverride] - pytest fills in by name
        self, backend: WorkspaceBackend
    ) -> None:
        """Links are removed when a command has ended, as the host keeps none; so the next finds no loop."""
        assert isinstance(backend, SandboxWorkspace)
        made = await backend.run(["sh", "-c", "ln -s loop loop && ls"])
        assert (made.exit_code, made.stdout) == (0, "loop\n")
        assert list(await Workspace(backend).list_dir("/workspace")) == []
