"""The home folder of a host: made for its owner only, held by one host at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from agenthost.core.errors import BadInput, HomeBusy

RESTORING = "restoring.json"
"""In a home into which a back-up is being put: nothing else may open it until that is done."""

_ADVICE = "choose another home with AGENTHOST_HOME, or make this one writable for this user"


def make_home(home: Path) -> None:
    """Make the home folder (mode 0700) where it is missing. Raises BadInput where it can't be used."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise BadInput(
            f"the home {home} is a file, not a folder; move it away, or {_ADVICE}", home=str(home)
        ) from error
    except OSError as error:
        raise BadInput(f"the home {home} can't be made ({error.strerror}); {_ADVICE}", home=str(home)) from error


class HomeLock:
    """The right to be the one host of a home: an exclusive lock on the file `lock` in it.

    The system frees it when the process ends, however it ends. The file holds the holder's process id.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._descriptor: int | None = None

    def acquire(self, restoring: bool = False) -> None:
        """Make and hold the home. Raises HomeBusy (details: `pid`, None where unknown) or BadInput, also where a
        restore was cut off and this is none."""
        if self._descriptor is not None:
            return
        make_home(self.home)
        path = self.home / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadInput(
                f"the home {self.home} can't be written ({error.strerror}); {_ADVICE}", home=str(self.home)
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise self._busy(holder) from error
        if not restoring and (self.home / RESTORING).exists():
            os.close(descriptor)
            raise BadInput(
                f"a back-up was being put into {self.home}, and that was cut off; do it again: agenthost backup restore FILE",
                home=str(self.home),
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the home go."""
        if self._descriptor is not None:
            # The file stays: removing it would let two hosts lock two files of the same name.
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "HomeLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _busy(self, holder: str) -> HomeBusy:
        pid = int(holder) if holder.isdigit() else None
        who = f"process {pid}" if pid else "another process"
        end = f"end it (`kill {pid}`)" if pid else "end it"
        return HomeBusy(
            f"another host ({who}) holds the home {self.home}; wait until it has ended, {end}, or choose another "
            "home with AGENTHOST_HOME. Every other verb works beside it",
            home=str(self.home),
            pid=pid,
        )
