"""Webhooks and deletion by the real command, with a host that runs and without one."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.product.product import ECHO, PATIENCE, Product

PLAYS = 'rules:\n  - when: {says: "for ever"}\n    reply: {text: "I go on", pause: 600}\n  - reply: {text: done}\n'


class Hook:
    """Somebody who is called."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.status = 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.heard.append(body | {"signature": self.headers["webhook-signature"]})
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.place = f"localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Hook":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook() -> Generator[Hook]:
    with Hook() as made:
        yield made


@pytest.fixture
def home(product: Product, hook: Hook) -> Product:
    product.settings(f'[a2a]\nenabled = false\n[mcp]\nenabled = false\n[network]\nprivate = ["{hook.place}"]\n')
    product.plays.write_text(PLAYS)
    product.apply(ECHO)
    return product


@contextmanager
def up(product: Product) -> Generator[str]:
    """A host that runs; its address."""
    with product.running("up", "--json", "--quiet", "--port", "0") as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]


def told(product: Product, *words: str, code: int = 0, stdin: bytes = b"") -> Any:
    done = product.run(*words, "--json", stdin=stdin)
    assert done.code == code, done
    return json.loads(done.out.splitlines()[-1])


def ran(product: Product, text: str = "hi", *more: str) -> str:
    """A task; its id."""
    return next(line["task"] for line in product.run("run", "echo", text, "--json", *more).objects() if "task" in line)


def going(product: Product) -> str:
    """A task that goes on in the host that runs."""
    return ran(product, "for ever", "--detach")


def ids(product: Product) -> list[str]:
    return [row["id"] for row in told(product, "tasks", "list")]


def typing(product: Product, typed: str, *words: str) -> tuple[int, str]:
    """Run the command at a terminal where somebody types; its exit code and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agenthost.cli", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=product.env | {"TERM": "xterm", "COLUMNS": "200"},
        cwd=product.folder,
    )
    os.close(theirs)
    os.write(ours, f"{typed}\n".encode())
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end has gone, which is how a terminal says it
    os.close(ours)
    return process.wait(PATIENCE), shown.decode()


# --- webhooks ---


def test_a_webhook_from_its_beginning_to_its_end(home: Product, hook: Hook) -> None:
    with up(home):
        made = told(home, "webhooks", "add", f"http://{hook.place}/a")
        assert made["secret"].startswith("whsec_") and made["events"] == ["task.ended", "task.question"]
        (listed,) = told(home, "webhooks", "list")
        assert listed == {name: value for name, value in made.items() if name != "secret"}
        assert told(home, "webhooks", "show", made["id"]) == listed
        sent = told(home, "webhooks", "test", made["id"])
        assert (sent["state"], sent["status"], hook.heard[0]["type"]) == ("delivered", 204, "webhook.test")
        assert hook.heard[0]["signature"].startswith("v1,")
        task = ran(home)
        while len(deliveries := told(home, "webhooks", "deliveries", made["id"])) < 2:
            pass
        assert [each["event"] for each in deliveries] == ["task.ended", "webhook.test"]
        assert deliveries[0]["body"]["data"]["task"] == task
        words = home.run("webhooks", "deliveries", made["id"], "--limit", "1")
        assert words.code == 0 and words.out.split("\t")[1:3] == ["task.ended", task]
        assert told(home, "webhooks", "remove", made["id"]) == {"id": made["id"], "outcome": "removed"}
        assert told(home, "webhooks", "list") == []
        home.run("webhooks", "remove", made["id"]).refused(f"you have no webhook '{made['id']}'")


def test_a_webhook_of_one_task_with_a_secret_of_ones_own(home: Product, hook: Hook) -> None:
    secret = "whsec_" + "QUJD" * 10
    with up(home):
        task = going(home)
        made = told(
            home,
            *("webhooks", "add", f"http://{hook.place}/a", "--event", "task.ended", "--task", "last", "--secret"),
            stdin=secret.encode(),
        )
        assert (made["task"], made["secret"], made["events"]) == (task, secret, ["task.ended"])
        assert told(home, "tasks", "cancel", task)["cancel"] == "asked"
        while not hook.heard:
            pass
    assert hook.heard[0]["data"]["task"] == task


def test_a_test_that_isnt_taken_says_why(home: Product, hook: Hook) -> None:
    hook.status = 500
    with up(home):
        made = told(home, "webhooks", "add", f"http://{hook.place}/a")
        done = home.run("webhooks", "test", made["id"])
    assert done.code == 1 and "It wasn't taken: it answered 500; it is tried again." in done.out


def test_webhooks_without_a_host_that_runs(home: Product, hook: Hook) -> None:
    made = told(home, "webhooks", "add", f"http://{hook.place}/a")
    assert [each["id"] for each in told(home, "webhooks", "list")] == [made["id"]]
    done = home.run("webhooks", "test", made["id"])
    assert done.code == 0 and "no host is running" in done.err
    assert told(home, "webhooks", "deliveries", made["id"])[0]["state"] == "waiting"
    with up(home):
        while not hook.heard:
            pass
    assert hook.heard[0]["type"] == "webhook.test"


def test_what_cant_be_called_is_refused(home: Product) -> None:
    with up(home):
        for words in (
            ("add", "http://127.0.0.1/x"),
            ("add", "nowhere"),
            ("add", "https://a.example", "--task", "zz"),
            ("add", "https://a.example", "--event", "nonsense"),
            ("add", "https://a.example", "--secret"),
            ("test", "wh_1"),
            ("deliveries", "wh_1"),
            ("deliveries", "wh_1", "--limit", "0"),
        ):
            done = home.run("webhooks", *words)
            assert done.code == 2 and done.err, (words, done)
        assert told(home, "webhooks", "list") == []


# --- deletion ---


@pytest.mark.parametrize("running", [True, False])
def test_a_task_is_deleted(home: Product, running: bool) -> None:
    with up(home) if running else contextmanager(lambda: (yield))():
        task, other = ran(home), ran(home)
        refused = home.run("tasks", "delete", task)
        assert refused.code == 2 and "say --yes" in refused.err
        assert sorted(ids(home)) == sorted([task, other])
        assert told(home, "tasks", "delete", task, "--yes")["tasks"] == 1
        assert ids(home) == [other]
        assert home.run("tasks", "delete", task, "--yes").code == 2
        words = home.run("tasks", "delete", "last", "--yes")
        assert words.out == "Gone for good: 1 task, 0 files.\n", words
        assert ids(home) == []


@pytest.mark.parametrize("running", [True, False])
def test_one_that_goes_on_needs_force(home: Product, running: bool) -> None:
    with up(home):
        task = going(home)
        if running:
            assert told(home, "tasks", "delete", task, "--yes", code=2)["error"]["code"] == "conflict"
            assert told(home, "tasks", "delete", task, "--yes", "--force")["tasks"] == 1
    if not running:
        assert told(home, "tasks", "delete", task, "--yes", "--force")["tasks"] == 1
    assert ids(home) == []


def test_who_deletes_at_a_terminal_is_asked(home: Product) -> None:
    with up(home):
        task = ran(home, "words of mine")
        for typed in ("", "n", "yess"):
            code, shown = typing(home, typed, "tasks", "delete", task)
            assert code == 2 and "words of mine" in shown and "nothing was deleted" in shown, shown
        home.run("people", "add", "ann")
        for typed in ("y", "yes", "an"):
            assert typing(home, typed, "people", "delete", "ann")[0] == 2
        assert ids(home) == [task]
        code, shown = typing(home, "y", "tasks", "delete", task)
        assert code == 0 and "Gone for good: 1 task" in shown, shown
        code, shown = typing(home, "ann", "people", "delete", "ann")
        assert code == 0 and "1 person" in shown, shown
        assert [each["id"] for each in told(home, "people", "list")] == ["owner"]


@pytest.mark.parametrize("running", [True, False])
def test_a_person_is_deleted_with_all_that_is_theirs(home: Product, hook: Hook, running: bool) -> None:
    home.run("people", "add", "ann")
    secret = told(home, "keys", "new", "--person", "ann")["secret"]
    own = dict(home.env)
    with up(home) as url:
        kept = ran(home)
        home.env |= {"AGENTHOST_URL": url, "AGENTHOST_TOKEN": secret}
        ran(home, "hers")
        going(home)
        told(home, "webhooks", "add", f"http://{hook.place}/a")
        refused = told(home, "people", "delete", "owner", "--yes", code=2)
        assert refused["error"]["code"] == "forbidden"
        theirs, home.env = home.env, own
        if running:
            gone = told(home, "people", "delete", "ann", "--yes")
            home.env = theirs
            assert told(home, "tasks", "list", code=2)["error"]["code"] == "unauthenticated"
            home.env = own
    if not running:
        gone = told(home, "people", "delete", "ann", "--yes")
    assert (gone["tasks"], gone["people"], gone["webhooks"]) == (2, 1, 1)
    assert ids(home) == [kept]
    home.run("people", "delete", "ann").refused(
        "ann goes for good, with every task, file and webhook of theirs. Nobody can be asked here: say --yes where that is meant"
    )
    assert told(home, "people", "delete", "nobody", "--yes", code=2)["error"]["code"] == "not-found"


@pytest.mark.parametrize("running", [True, False])
def test_a_namespace_is_deleted_with_everybody_in_it(home: Product, running: bool) -> None:
    home.run("people", "add", "ann")
    with up(home) if running else contextmanager(lambda: (yield))():
        ran(home)
        assert home.run("namespaces", "delete", "default").code == 2
        gone = told(home, "namespaces", "delete", "default", "--yes")
        assert (gone["tasks"], gone["people"]) == (1, 1)
        assert ids(home) == []
        assert [each["id"] for each in told(home, "people", "list")] == ["owner"]


def test_beside_a_task_that_another_terminal_follows_webhooks_and_deletion_are_there(home: Product, hook: Hook) -> None:
    """The other's process is the host then."""
    old = ran(home)
    with home.running("run", "echo", "for ever", "--json"):
        while not (home.home / "host.sock").exists():
            pass
        made = told(home, "webhooks", "add", f"http://{hook.place}/a")
        assert told(home, "webhooks", "test", made["id"])["state"] == "delivered"
        assert told(home, "tasks", "delete", old, "--yes")["tasks"] == 1
