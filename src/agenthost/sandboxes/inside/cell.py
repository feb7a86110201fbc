"""One run's pid 1: builds the root, starts the run's first process, watches it, and says how it ended.

Its end is the end of everything in its pid namespace: the kernel kills what is left.
"""

import array
import json
import os
import resource
import select
import signal
import socket
import struct
import time
import traceback
from typing import Any, NoReturn

from agenthost.sandboxes.inside import cage, linux, program, rooms, warm
from agenthost.sandboxes.inside.watch import Watch

# Longest message: argv and environment as the kernel allows them, and their JSON.
_LONGEST = 64 * 1024 * 1024
_FIRST_LOOK, _SLOWEST_LOOK = 0.03, 0.1


def live(door: socket.socket, outer: tuple[int, int] | None, filter: bytes, python: warm.Interpreter) -> warm.Job:
    """Be a run. `outer` is the user to map (None as root, who becomes the user that the request names).

    Returns only in the run's first process, and there only where the interpreter that is here
    shall run the program.
    """
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        os.umask(0o022)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        if outer is not None:
            rooms.map_user(proc, *outer)
        rooms.loopback_up()
        rooms.lay_out()
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # short of memory, the kernel ends this before anything of the host's
        door.sendall(b"r")
        request, files = _receive(door)
        made = rooms.listeners(request["ports"]) if request["ports"] else []
        watch = _settle(request, proc)
        if made or request["service"]:
            _give(door, b"n", made)
            for end in made:
                end.close()
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        pid = os.fork()
    except BaseException:  # noqa: BLE001 - whatever it is, the host must hear of it
        _end(door, {"error": traceback.format_exc()})
    if pid == 0:
        return _begin(door, request, files, filter, python)
    _guard(door, pid, files, watch, request)


def _receive(door: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The request: its length (8 bytes) with stdin, stdout and stderr, then JSON."""
    files = array.array("i")
    head, extra, _, _ = door.recvmsg(8, socket.CMSG_LEN(3 * files.itemsize))
    if not head:
        os._exit(0)  # never wanted
    for _, _, data in extra:
        files.frombytes(data[: len(data) - len(data) % files.itemsize])
    (length,) = struct.unpack("=Q", head)
    if length > _LONGEST or len(files) != 3:
        raise ValueError("not a request")
    body = bytearray()
    while len(body) < length:
        if not (piece := door.recv(min(length - len(body), 1 << 20))):
            os._exit(0)
        body += piece
    return json.loads(body), list(files)


def _give(door: socket.socket, word: bytes, ends: list[socket.socket]) -> None:
    """Hand sockets of this network to the host."""
    handles = array.array("i", [end.fileno() for end in ends])
    door.sendmsg([word], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)] if ends else [])


def _settle(request: dict[str, Any], proc: int) -> Watch:
    owner = request["owner"]
    room = min(request["disk"], request["memory"])
    rooms.move_in(request["workspace"], request["inode"], request["layer"], room, owner, bool(request["ports"]))
    if owner is not None:
        rooms.hand_over("/workspace", owner)
        cage.become(owner, proc)
    os.close(proc)
    return Watch(request["memory"], request["disk"], None if request["counted"] else request["processes"])


def _begin(
    door: socket.socket, request: dict[str, Any], files: list[int], filter: bytes, python: warm.Interpreter
) -> warm.Job:
    door.detach()
    return program.become(request, files, filter, python)


def _guard(door: socket.socket, pid: int, files: list[int], watch: Watch, request: dict[str, Any]) -> NoReturn:
    """Wait for the first process to end or to go too far."""
    try:
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2, *files):
            os.dup2(nothing, number)
        pause = _FIRST_LOOK
        wait = _Serving(door, pid).wait if request["service"] else _wait
        while (code := program.reap(pid)) is None:
            if wait(pause):
                began = time.monotonic()
                if limit := watch.over():
                    _end(door, {"limit": limit, "exit": 137})
                # A look costs at most a tenth of the time between looks.
                pause = min(max(pause * 1.3, 10 * (time.monotonic() - began)), max(_SLOWEST_LOOK, pause))
        answer: dict[str, Any] = {"exit": code}
        if watch.over_disk():
            answer["limit"] = "disk"
        elif code == 128 + signal.SIGXCPU or (code == 137 and _spent() >= request["cpu_seconds"]):
            answer["limit"] = "time"
        _end(door, answer)
    except BaseException:  # noqa: BLE001 - whatever it is, the host must hear of it
        _end(door, {"error": traceback.format_exc()})


def _wait(pause: float) -> bool:
    """Until a child ends or the time is over; whether it is over."""
    return signal.sigtimedwait([signal.SIGCHLD], pause) is None


class _Serving:
    """The guard of a service: while it waits, it hands the host a socket of this network for each byte that comes."""

    def __init__(self, door: socket.socket, pid: int) -> None:
        self._door = door
        self._poll = select.poll()
        self._poll.register(door, select.POLLIN)
        self._poll.register(os.pidfd_open(pid), select.POLLIN)

    def wait(self, pause: float) -> bool:
        """Until the first process ends or the time is over; whether it is over."""
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            for number, _ in self._poll.poll(left * 1000):
                if number != self._door.fileno():
                    return False
                if not self._door.recv(1):
                    os._exit(0)  # the host has hung up
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as end:
                    _give(self._door, b"s", [end])
        return True


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end(door: socket.socket, answer: dict[str, Any]) -> NoReturn:
    try:
        door.sendall(json.dumps(answer).encode())
    finally:
        os._exit(0)
