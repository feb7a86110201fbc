"""The real command as a person runs it: a subprocess, a home of its own, and nothing of the tester's environment."""

import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

PATIENCE = 90
"""Seconds after which a command that still runs is a defect."""

ECHO = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec:
  description: Says something back
  instructions: Say it back.
"""

LOOK = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: look}
spec:
  description: Looks at a sketch
  input:
    sketch: {type: file, accept: [image/png, image/jpeg], description: the drawing}
    language: {type: string, default: python}
    count: {type: integer, default: 1}
  roles: {reader: {agent: echo}}
  steps:
    - {id: read, role: reader, prompt: "Read it in {{ input.language }}", files: input.sketch}
"""

CODER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: coder}
spec:
  description: Writes a program
  instructions: Write it.
  tools: [workspace]
"""

PLAYS = 'rules:\n  - reply: {text: "You said {{said}}"}\n'

WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fine"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
"""An answer of a chat completion as it should be."""


class Done:
    """What a command came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def objects(self) -> list[dict[str, Any]]:
        """The lines of `--json`."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]

    def refused(self, words: str, code: int = 2) -> None:
        """It said these words in one line on stderr, nothing else, and ended with this exit code."""
        assert self.code == code, self
        assert self.err == f"agenthost: {words}\n", self
        assert self.out == "", self


class Product:
    """A home and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.plays = folder / "plays.yaml"
        self.plays.write_text(PLAYS)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AGENTHOST_", "OPENAI_", "COV_")) and not name.lower().endswith("_proxy")
        }
        self.env = kept | {
            "AGENTHOST_HOME": str(self.home),
            "AGENTHOST_MODEL": f"scripted:{self.plays}",
            "AGENTHOST_SANDBOX": "bubblewrap",  # the quickest
            "AGENTHOST_PORT": "0",  # of many hosts at once
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }

    def without(self, *names: str) -> None:
        """Take names out of the environment."""
        for name in names:
            self.env.pop(name, None)

    def run(self, *words: str, stdin: bytes = b"", before: Callable[[], None] | None = None) -> Done:
        """Run the command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "agenthost.cli", *words],
            input=stdin,
            capture_output=True,
            env=self.env,
            cwd=self.folder,
            timeout=PATIENCE,
            preexec_fn=before,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def running(self, *words: str) -> Generator[subprocess.Popen[str]]:
        """The command while it goes on; ended with SIGTERM, by its pid."""
        process = subprocess.Popen(
            [sys.executable, "-m", "agenthost.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            cwd=self.folder,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)

    def write(self, name: str, content: str | bytes) -> Path:
        """A file beside the home."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def apply(self, *texts: str) -> None:
        """Have manifests."""
        files = [str(self.write(f"manifest-{at}.yaml", text)) for at, text in enumerate(texts)]
        done = self.run("apply", *(word for file in files for word in ("-f", file)))
        assert done.code == 0, done

    def settings(self, text: str) -> None:
        """Write agenthost.toml."""
        self.home.mkdir(exist_ok=True)
        (self.home / "agenthost.toml").write_text(text)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """A look into the database, or a change of it, while no host runs."""
        with sqlite3.connect(self.home / "agenthost.db") as connection:
            found = connection.execute(statement, values).fetchall()
        connection.close()
        return found

    def tasks(self) -> list[Any]:
        """(name, state, hold) of every task that is kept."""
        if not (self.home / "agenthost.db").exists():
            return []
        return self.sql("SELECT name, state, hold FROM tasks ORDER BY created, id")


def png(side: int = 4, padding: int = 0) -> bytes:
    """A PNG, with so many bytes of text in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
            chunk(b"tEXt", b"note\0" + b"x" * padding) if padding else b"",
            chunk(b"IDAT", zlib.compress(b"\0" * (side * (side + 1)))),
            chunk(b"IEND", b""),
        )
    )


class Server:
    """An HTTP server on loopback that answers each POST with what it was told to: status, media type, body."""

    def __init__(self, *answers: tuple[int, str, bytes]) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.requests.append(self.rfile.read(int(self.headers["content-length"])))
                status, media, body = outer.answer(len(outer.requests) - 1)
                self.send_response(status)
                self.send_header("content-type", media)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def answer(self, number: int) -> tuple[int, str, bytes]:
        return self._answers[min(number, len(self._answers) - 1)]

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def json_answer(value: Any, status: int = 200) -> tuple[int, str, bytes]:
    """An answer in JSON."""
    return status, "application/json", msgspec.json.encode(value)


def calls(name: str, arguments: str, id: str = "call_1") -> dict[str, Any]:
    """A whole answer that calls a tool with these arguments as they stand."""
    call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return WHOLE | {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}
