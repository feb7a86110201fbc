"""The server as a child process, for as long as a context is open."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.mind import Vices
from agenthost.testing.openai_server.record import Answered


class OpenAIServer:
    """Plays the file `playbook`, or is a small model with these vices; keeps what it hears in `folder`. `latency` and `pause` are in milliseconds,
    as the command's. `module` is another server of the same command line. `url` is the base URL, once the context is open."""

    def __init__(
        self,
        playbook: Path | Vices,
        folder: Path,
        latency: float = 0,
        pause: float = 0,
        key: str = "",
        module: str = "agenthost.testing.openai_server",
    ) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", module, "--port", "0"]
        given = str(playbook) if isinstance(playbook, Path) else msgspec.json.encode(playbook).decode()
        self._command += ["--playbook" if isinstance(playbook, Path) else "--small", given, "--record", str(folder)]
        self._command += ["--latency", str(latency), "--pause", str(pause), "--key", key]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> "OpenAIServer":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            self.__exit__(None, None, None)
            raise RuntimeError(f"the server didn't start; run it to see why: {' '.join(self._command)}")
        self.url = line.removeprefix("listening on ").strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None and self._process.stdout is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def bodies(self) -> list[bytes]:
        """The bodies of all requests so far, byte for byte, the oldest first."""
        return record.bodies(self._folder)

    def answers(self) -> list[Answered]:
        """The answers that were given to their last byte, the oldest first."""
        return record.answers(self._folder)
