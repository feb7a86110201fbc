"""An engine's HTTP API, asked plainly: for the beds, and for the keeper, which has no library."""

import http.client
import socket
from pathlib import Path
from typing import Any


class _Local(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(folder: Path, method: str, path: str, body: Any = None, kind: str = "application/x-tar") -> tuple[int, bytes]:
    """Ask the engine of a folder: the status and the answer."""
    connection = _Local(f"{folder}/engine.sock")
    try:
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
