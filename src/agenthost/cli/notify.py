"""What systemd is told of a service of `Type=notify` (sd_notify(3)). Where nobody asked for it, nothing happens."""

import os
import socket


def notify(*lines: str) -> None:
    """Tell the manager in NOTIFY_SOCKET, such as `READY=1`. It is told, and nothing waits for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        try:
            told.setblocking(False)
            told.connect("\0" + address[1:] if address.startswith("@") else address)
            told.send("\n".join(lines).encode())
        except OSError:
            # A manager that doesn't listen is no reason to end.
            return


def managed() -> bool:
    """Whether a manager started this process and waits to hear that it is ready."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watched() -> float | None:
    """Seconds after which the manager ends a process that it doesn't hear of; None where it doesn't watch this one."""
    microseconds, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (pid.isdigit() and int(pid) != os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
