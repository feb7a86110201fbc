"""Servers in the sandbox are looked at by HTTP, and what was seen is evidence."""

import hashlib
from pathlib import Path

import pytest

from agenthost.core.commands import Probe
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.sandboxes.probes import HttpProber

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {body!r}.encode()
        self.send_response({status}); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
print('serving', flush=True)
http.server.HTTPServer(('127.0.0.1', 8000), Handler).serve_forever()
"""


async def probed(
    sandbox: Bubblewrap, workspace: Path, code: str, probe: Probe, policy: SandboxPolicy | None = None
) -> SandboxOutcome:
    (workspace / "app.py").write_text(code)
    run = SandboxRun(("sh", "-c", "python app.py"), str(workspace), policy or SandboxPolicy())
    return await HttpProber(sandbox).probe(run, probe)


async def test_a_server_that_answers_as_it_should_passes_with_evidence(sandbox: Bubblewrap, workspace: Path) -> None:
    code = SERVER.format(body="<h1>hello</h1>", status=200) + "\n"
    outcome = await probed(sandbox, workspace, code, Probe(8000, "/x", body="<h1>h.*o</h1>"))
    assert (outcome.exit_code, outcome.limit) == (0, ""), outcome
    said = outcome.stdout.decode()
    assert said.startswith("GET http://127.0.0.1:8000/x: asked ")
    assert "HTTP/1.1 200 OK" in said or "HTTP/1.0 200 OK" in said
    assert "content-length: 14" in said
    assert hashlib.sha256(b"<h1>hello</h1>").hexdigest() in said
    assert said.endswith("\n<h1>hello</h1>\n")
    assert b"GET /x HTTP/1.1" in outcome.stderr  # the server's own log


@pytest.mark.parametrize(
    ("code", "probe", "reason", "more"),
    [
        (SERVER.format(body="no", status=500), Probe(8000, within=0.5), "answered with the status 500, not 200", "no\n"),
        (SERVER.format(body="no", status=200), Probe(8000, body="yes", within=0.5), "has nothing that matches 'yes'", "serving"),
        (SERVER.format(body="no", status=200), Probe(8001, within=0.5), "nothing listens on port 8001", "never answered"),
        ("import sys; print('so far'); sys.exit('it broke')", Probe(8000), "ended before it was asked for anything (exit code 1)", "so far"),
        ("x = 1 /", Probe(8000), "ended before it was asked for anything (exit code 1)", "never answered"),
        ("import socket\ns = socket.create_server(('', 8000))\nwhile True: s.accept()[0].sendall(b'hi there\\r\\n\\r\\n')", Probe(8000, within=0.5), "does not answer with HTTP", "never answered"),
        ("import socket\ns = socket.create_server(('', 8000))\nwhile True: s.accept()[0].close()", Probe(8000, within=0.5), "127.0.0.1:8000/ hung up", "never answered"),
        ("import socket\ns = socket.create_server(('', 8000))\nwhile True: kept = s.accept()", Probe(8000, within=0.5), "does not answer: the connection is made", "never answered"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_the_last_line_of_stderr(
    sandbox: Bubblewrap, workspace: Path, code: str, probe: Probe, reason: str, more: str
) -> None:
    outcome = await probed(sandbox, workspace, code, probe)
    assert outcome.exit_code == 1
    last = outcome.stderr.decode().rstrip("\n").rpartition("\n")[2]
    assert last.startswith("probe: ") and reason in last, outcome
    assert more in outcome.stdout.decode()
    if "it broke" in code:
        assert b"it broke" in outcome.stderr
    if code.startswith("x = 1"):
        assert b"SyntaxError" in outcome.stderr


async def test_a_server_that_is_slow_to_start_is_waited_for(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import time; time.sleep(0.7)\n" + SERVER.format(body="up", status=200)
    outcome = await probed(sandbox, workspace, code, Probe(8000))
    assert outcome.exit_code == 0, outcome


async def test_what_a_server_wrote_stays_and_the_server_does_not(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "open('made', 'w').write('1')\n" + SERVER.format(body="up", status=200)
    assert (await probed(sandbox, workspace, code, Probe(8000))).exit_code == 0
    assert (workspace / "made").read_text() == "1"
    with pytest.raises(ValueError):
        code = "import socket; socket.create_connection(('127.0.0.1', 8000), 2)"
        outcome = await sandbox.run(SandboxRun(("python", "-c", code), str(workspace)))
        if b"ConnectionRefusedError" in outcome.stderr:
            raise ValueError


async def test_the_sandboxes_own_time_ends_it_too(sandbox: Bubblewrap, workspace: Path) -> None:
    policy = SandboxPolicy(timeout=0.5)
    outcome = await probed(sandbox, workspace, "import time; time.sleep(60)", Probe(8000), policy)
    assert (outcome.exit_code, outcome.limit) == (1, "time")


async def test_a_body_without_end_is_cut(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        while True: self.wfile.write(b'x' * 65536)
http.server.HTTPServer(('127.0.0.1', 8000), Handler).serve_forever()
"""
    outcome = await probed(sandbox, workspace, code, Probe(8000, body="^x+$"))
    assert outcome.exit_code == 0
    assert b"262144 bytes and more" in outcome.stdout
    assert len(outcome.stdout) < 5000
