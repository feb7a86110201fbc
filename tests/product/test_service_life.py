"""`agenthost up` as a service manager has it: told when it is ready, alive and stopping, and stopped by signals."""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agenthost.stores.home import HomeLock
from tests.product.product import ECHO, PATIENCE, Product

SLOW = 'rules:\n  - reply: {text: "You said {{said}}", delay: 3}\n'
ENDLESS = 'rules:\n  - reply: {text: "You said {{said}}", delay: 600}\n'


class Up:
    """A host that serves a port."""

    def __init__(self, product: Product, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self._where = urlsplit(url).netloc
        self._token = (product.home / "token").read_text().strip()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of an answer."""
        connection = http.client.HTTPConnection(self._where, timeout=PATIENCE)
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), json.loads(response.read() or b"null")
        finally:
            connection.close()

    def follow(self, task: str) -> tuple[list[str], threading.Thread]:
        """A stream's lines, as they come."""
        lines: list[str] = []
        began = threading.Event()

        def read() -> None:
            connection = http.client.HTTPConnection(self._where, timeout=PATIENCE)
            connection.request(
                "GET", f"/api/v1/tasks/{task}/events", headers={"Authorization": f"Bearer {self._token}"}
            )
            response = connection.getresponse()
            while line := response.readline():
                lines.append(line.decode().strip())
                began.set()
            connection.close()

        thread = threading.Thread(target=read)
        thread.start()
        assert began.wait(PATIENCE)
        return lines, thread

    def until(self, task: str, kind: str) -> None:
        """Until a task's journal has an event of a kind."""
        while kind not in {each["event"]["type"] for each in self.ask("GET", f"/api/v1/tasks/{task}/journal")[2]}:
            time.sleep(0.05)


@contextmanager
def up(product: Product) -> Generator[Up]:
    with product.running("up", "--json", "--quiet", "--port", "0") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "url" in json.loads(first), first
        yield Up(product, process, json.loads(first)["url"])


@contextmanager
def manager(product: Product, folder: Path) -> Generator[list[str]]:
    """A service manager that listens; what it was told."""
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        product.env |= {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"}

        def listen() -> None:
            while (message := listening.recv(4096)) != b"end":
                told.extend(message.decode().splitlines())

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield told
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"end", str(folder / "notify"))
            thread.join()


@pytest.fixture
def busy(product: Product) -> Product:
    product.plays.write_text(SLOW)
    product.apply(ECHO)
    return product


def test_a_service_manager_is_told_when_it_is_ready_alive_and_stopping(busy: Product, tmp_path: Path) -> None:
    with manager(busy, tmp_path) as told, up(busy) as host:
        while told.count("WATCHDOG=1") < 3:
            time.sleep(0.02)
        assert host.ask("GET", "/readyz")[::2] == (200, {"status": "ok"})
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(PATIENCE) == 0
    assert told.count("READY=1") == 1 and any(line.startswith("STATUS=serving http://127.0.0.1:") for line in told)
    assert [line for line in told if not line.startswith(("WATCHDOG", "STATUS"))] == ["READY=1", "STOPPING=1"]


def test_a_host_that_is_told_to_stop_ends_its_calls_and_sends_new_work_away(busy: Product) -> None:
    with up(busy) as host:
        status, _, row = host.ask("POST", "/api/v1/tasks", {"name": "echo", "text": "hello"})
        assert status == 201
        lines, following = host.follow(row["id"])
        host.until(row["id"], "asked")
        host.process.send_signal(signal.SIGTERM)
        while host.ask("GET", "/readyz")[0] == 200:
            time.sleep(0.02)
        assert host.ask("GET", "/readyz")[::2] == (503, {"status": "closing"})
        assert host.ask("GET", "/healthz")[0] == 200
        status, headers, problem = host.ask("POST", "/api/v1/tasks", {"name": "echo", "text": "no more"})
        assert (status, problem["code"]) == (503, "closing") and int(headers["retry-after"]) > 0
        following.join()
        assert host.process.wait(PATIENCE) == 0
    assert lines[-3:-1] == ["event: end", 'data: {"reason":"closing"}']
    kinds = [
        json.loads(line[6:])["event"]["type"]
        for line in lines
        if line.startswith('data: {"task"') and '"event"' in line
    ]
    assert kinds[-1] == "answered"
    with up(busy) as host:
        host.until(row["id"], "finished")
        assert len(host.ask("GET", f"/api/v1/tasks/{row['id']}/ledger")[2]) == 1


def test_a_service_waits_for_a_home_that_a_command_holds(busy: Product, tmp_path: Path) -> None:
    """It would be started again by nobody: a home that is held ends with 2, as a wrong setting does."""
    lock = HomeLock(busy.home)
    lock.acquire()
    with manager(busy, tmp_path) as told, busy.running("up", "--json", "--quiet", "--port", "0") as process:
        try:
            while "STATUS=waiting for the home, which another process holds" not in told:
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            lock.release()
        assert process.stdout is not None
        assert "url" in json.loads(process.stdout.readline())
        while "READY=1" not in told:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def _message(way: str) -> Any:
    message = {"kind": "message", "role": "user", "messageId": way, "parts": [{"kind": "text", "text": "hello"}]}
    return {"jsonrpc": "2.0", "id": 1, "method": f"message/{way}", "params": {"message": message}}


WAITING: dict[str, tuple[str, Any, int]] = {
    "chat": ("/v1/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}, 503),
    "responses": ("/v1/responses", {"model": "echo", "input": "hello"}, 503),
    "a2a": ("/a2a/echo", _message("send"), 200),
}


def test_a_host_that_stops_keeps_nobody_waiting_and_ends(busy: Product) -> None:
    """Who waits for a task that takes for ever hears that the host stops, whatever protocol it is; nobody holds it up."""
    busy.plays.write_text(ENDLESS)
    busy.settings("[work]\ngrace = 0.1\n")
    answers: dict[str, tuple[int, dict[str, str], Any]] = {}
    with up(busy) as host:

        def ask(name: str) -> None:
            path, body, _ = WAITING[name]
            answers[name] = host.ask("POST", path, body)

        asking = [threading.Thread(target=ask, args=(name,)) for name in WAITING]
        for thread in asking:
            thread.start()
        while len(rows := host.ask("GET", "/api/v1/tasks")[2]["items"]) < len(WAITING):
            time.sleep(0.05)
        for row in rows:
            host.until(row["id"], "asked")
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(PATIENCE) == 0
        for thread in asking:
            thread.join()
    assert {name: answer[0] for name, answer in answers.items()} == {name: told[2] for name, told in WAITING.items()}
    assert answers["chat"][2]["error"]["code"] == answers["responses"][2]["error"]["code"] == "closing"
    assert answers["a2a"][2]["result"]["status"]["state"] == "working"


def test_told_twice_it_ends_at_once_and_keeps_the_task(busy: Product) -> None:
    busy.plays.write_text(ENDLESS)
    busy.settings("[work]\ngrace = 600.0\n")
    with up(busy) as host:
        row = host.ask("POST", "/api/v1/tasks", {"name": "echo", "text": "hello"})[2]
        host.until(row["id"], "asked")
        host.process.send_signal(signal.SIGTERM)
        while host.ask("GET", "/readyz")[0] == 200:
            time.sleep(0.02)
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(PATIENCE) == 130
    assert busy.tasks() == [("echo", "working", "")]
    busy.plays.write_text('rules:\n  - reply: {text: "You said {{said}}"}\n')
    with up(busy) as host:
        host.until(row["id"], "finished")


PAIR = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  roles: {one: {agent: echo, replicas: 100}}
  steps:
    - {id: left, role: one, needs: [], prompt: "left {{ task.text }}"}
    - {id: right, role: one, needs: [], prompt: "right {{ task.text }}"}
    - {id: both, role: one, needs: [left, right], prompt: "{{ steps.left.text }}{{ steps.right.text }}"}
"""


def test_stops_in_the_midst_of_much_work_have_no_call_made_twice(product: Product) -> None:
    product.plays.write_text('rules:\n  - reply: {text: "You said {{said}}", delay: 0.3}\n')
    product.apply(ECHO, PAIR)
    tasks: list[str] = []
    for _ in range(3):
        with up(product) as host:
            orders = [{"name": "pair", "text": f"number {number}"} for number in range(20)]
            tasks += [host.ask("POST", "/api/v1/tasks", order)[2]["id"] for order in orders]
            host.until(tasks[-1], "asked")
            host.process.send_signal(signal.SIGTERM)
            assert host.process.wait(PATIENCE) == 0
    unfinished = product.sql("SELECT count(*) FROM tasks WHERE ended = 0")
    with up(product) as host:
        for task in tasks:
            host.until(task, "finished")
    assert unfinished[0][0] > 0
    assert set(product.sql("SELECT state FROM tasks")) == {("completed",)}
    assert product.sql("SELECT count(*), sum(settled), max(attempt) FROM ledger") == [(180, 180, 1)]
