"""Several terminals and one host: `up`, `run` and `tasks` as people use them side by side, in real processes."""

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.product.hosts import MANIFESTS
from tests.product.product import PATIENCE, Product

PLAYS = """
name: terminals
rules:
  - when: {agent: quick}
    reply: {text: "You said: {{said}}", delay: 0.05}
  - when: {agent: asking, turn: 0}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
  - when: {agent: asking}
    reply: {text: "It is {{said}} then."}
  - when: {agent: slow}
    reply: {text: "one two three", delay: 600}
  - when: {agent: sender, turn: 0}
    reply: {calls: [{tool: send, arguments: {what: letter}}]}
  - when: {agent: sender}
    reply: {text: "I heard: {{said}}"}
  - when: {agent: writer, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: note.txt, content: "a note"}}]}
  - when: {agent: writer}
    reply: {text: "Written."}
"""

MORE = """
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: sender}
spec: {tools: [send]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {tools: [write_file]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: many}
spec:
  roles: {worker: {agent: quick, replicas: 1}}
  steps:
    - {id: all, role: worker, foreach: "range(30)", prompt: "number {{ item }}"}
"""

GATE = """
from agenthost.core.tools import ToolSpec, text_result

class Send:
    spec = ToolSpec("send", "Send something.", {"type": "object", "properties": {"what": {"type": "string"}}}, approval=True, trusted=True)

    async def call(self, arguments, context):
        return text_result("it was sent")

    async def check(self, key, arguments):
        return None

send = Send()
"""


@pytest.fixture
def terminals(product: Product) -> Product:
    """A home with agents of every temper."""
    product.plays.write_text(PLAYS)
    product.write("gate.py", GATE)
    product.settings('[tools]\nsend = "gate:send"\n')
    product.write("home/manifests/all.yaml", MANIFESTS + MORE)
    return product


@contextmanager
def up(product: Product, *words: str) -> Generator[subprocess.Popen[str]]:
    """A host that is up."""
    with product.running("up", *words) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "is up" in line or '"kind":"up"' in line, line
        yield process


def until(look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it gives anything."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


def detach(product: Product, *words: str) -> str:
    done = product.run("run", *words, "--detach")
    assert done.code == 0, done
    return done.out.strip()


def recorded(out: str) -> list[tuple[str, int]]:
    """(task, number) of every event in the lines of `--json`."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    return [(line["task"], line["seq"]) for line in lines if "seq" in line]


def assert_every_event_once(product: Product, seen: list[tuple[str, int]], task: str) -> None:
    kept = product.sql("SELECT task, seq FROM events WHERE task = ? OR task LIKE ? || '.%'", task, task)
    assert sorted(seen) == sorted((each[0], each[1]) for each in kept)
    for one in {each[0] for each in seen}:
        numbers = [number for name, number in seen if name == one]
        assert numbers == sorted(numbers)


def test_tasks_are_started_seen_and_ended_from_other_terminals(terminals: Product, tmp_path: Path) -> None:
    with up(terminals):
        task = detach(terminals, "writer", "a note please")
        done = terminals.run("tasks", "follow", task)
        assert done.code == 0, done
        assert "Written." in done.out
        assert f"{task}\tcompleted\twriter" in terminals.run("tasks", "list").out
        assert "output   Written." in terminals.run("tasks", "show", task[:12]).out
        assert terminals.run("tasks", "artifacts", "last", "--out", str(tmp_path / "result")).code == 0
        assert (tmp_path / "result" / "note.txt").read_text() == "a note"
        assert "the same" in terminals.run("tasks", "replay", task).out
        assert terminals.run("tasks", "export", task, "--to", str(tmp_path / "task.zip")).code == 0
        assert f"tasks/{task}.jsonl" in zipfile.ZipFile(tmp_path / "task.zip").namelist()
        # A run beside it is done by the host that is up.
        assert "You said: hello" in terminals.run("run", "quick", "hello").out


def test_a_task_is_cancelled_from_another_terminal(terminals: Product) -> None:
    with up(terminals):
        task = detach(terminals, "slow", "never ends")
        with terminals.running("tasks", "follow", task) as following:
            until(lambda: "working" in terminals.run("tasks", "list").out)
            assert terminals.run("tasks", "cancel", task, "--reason", "enough of it").code == 0
            out, _ = following.communicate(timeout=PATIENCE)
        assert following.returncode == 1
        assert "enough of it" in out
        assert "canceled" in terminals.run("tasks", "list").out
        terminals.run("tasks", "cancel", task).refused(
            f"task {task} has ended already (canceled); there is nothing to cancel"
        )


@pytest.mark.parametrize(("word", "heard"), [("approve", "it was sent"), ("deny", "I heard: ")])
def test_what_needs_an_approval_is_approved_or_denied_from_another_terminal(
    terminals: Product, word: str, heard: str
) -> None:
    with up(terminals):
        waiting = terminals.run("run", "sender", "send it")
        assert waiting.code == 4, waiting
        task = terminals.run("tasks", "list", "--names").out.strip()
        assert f"agenthost tasks approve {task}" in waiting.out
        assert f"agenthost tasks deny {task}" in waiting.out
        assert terminals.run("tasks", word, task).code == 0
        done = terminals.run("tasks", "follow", task)
        assert done.code == 0, done
        assert heard in done.out
        assert ("it was sent" in done.out) == (word == "approve")


def test_a_question_in_up_is_answered_from_another_terminal(terminals: Product) -> None:
    with up(terminals) as host:
        waiting = terminals.run("run", "asking", "paint it")
        assert waiting.code == 4, waiting
        task = terminals.run("tasks", "list", "--names").out.strip()
        assert f'agenthost tasks reply {task} "your answer"' in waiting.out
        assert terminals.run("tasks", "reply", task, "blue").code == 0
        done = terminals.run("tasks", "follow", task)
        assert "It is" in done.out and "blue" in done.out
        host.send_signal(signal.SIGTERM)
        told, _ = host.communicate(timeout=PATIENCE)
    assert "Which colour?" in told
    assert "blue" in told
    assert host.returncode == 0


def test_a_question_is_answered_while_no_host_runs_and_the_task_goes_on_with_the_next(terminals: Product) -> None:
    waiting = terminals.run("run", "asking", "paint it")
    assert waiting.code == 4, waiting
    task = terminals.run("tasks", "list", "--names").out.strip()
    assert f'agenthost tasks reply {task} "your answer"' in waiting.out
    replied = terminals.run("tasks", "reply", task, "green")
    assert replied.code == 0, replied
    assert f"agenthost tasks follow {task}" in replied.err
    with up(terminals):
        until(lambda: "completed" in terminals.run("tasks", "list").out)
    assert "green" in terminals.run("tasks", "show", task).out


def test_a_second_up_is_refused(terminals: Product) -> None:
    with up(terminals) as host:
        done = terminals.run("up")
        assert done.code == 2, done
        assert f"process {host.pid}" in done.err
        assert str(terminals.home) in done.err


def test_up_stops_when_told_and_the_next_goes_on(terminals: Product) -> None:
    with up(terminals) as host:
        task = detach(terminals, "many")
        # Looked at in the store: by the time that a command has begun on a busy machine, all of it may be done.
        until(lambda: len(terminals.sql("SELECT 1 FROM tasks")) > 3)
        host.send_signal(signal.SIGTERM)
        out, err = host.communicate(timeout=PATIENCE)
    assert host.returncode == 0, err
    assert "unfinished tasks go on with the next start" in out
    assert not (terminals.home / "host.sock").exists()
    assert terminals.tasks()[0][1] == "working"
    with up(terminals):
        done = terminals.run("tasks", "follow", task)
        assert done.code == 0, done
    # One owner before the stop, and one after it.
    assert len(terminals.sql("SELECT 1 FROM events WHERE task = ? AND kind = 'claimed'", task)) == 2


def test_a_follower_of_a_host_that_is_killed_and_started_again_sees_every_event_once(terminals: Product) -> None:
    with up(terminals) as first:
        task = detach(terminals, "many")
        with terminals.running("tasks", "follow", task, "--json") as following:
            assert following.stdout is not None
            head = [following.stdout.readline() for _ in range(12)]
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            with up(terminals):
                rest = following.stdout.read()
                assert following.wait() == 0
    seen = recorded("".join(head) + rest)
    assert_every_event_once(terminals, seen, task)
    # One owner before the kill, and one after it.
    assert len(terminals.sql("SELECT 1 FROM events WHERE task = ? AND kind = 'claimed'", task)) == 2


def test_up_tells_a_line_for_what_each_task_does(terminals: Product) -> None:
    with up(terminals, "--json") as host:
        first, second = detach(terminals, "quick", "one"), detach(terminals, "family")
        for task in (first, second):
            assert terminals.run("tasks", "follow", task).code == 0
        time.sleep(1)  # it looks for new tasks twice a second
        host.send_signal(signal.SIGTERM)
        out, _ = host.communicate(timeout=PATIENCE)
    seen = recorded(out)
    for task in (first, second):
        assert_every_event_once(
            terminals, [each for each in seen if each[0] == task or each[0].startswith(task + ".")], task
        )


# --- a host in the command's own process ------------------------------------------------------------


@contextmanager
def own_run(product: Product, *words: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`run` in a process of its own, and its task, once other terminals can reach it."""
    with product.running("run", *words) as process:
        until(lambda: (product.home / "host.sock").exists() or process.poll() is not None)
        yield process, product.run("tasks", "list", "--names").out.strip()


def test_a_run_is_followed_and_cancelled_from_another_terminal(terminals: Product) -> None:
    with (
        own_run(terminals, "slow", "never ends") as (run, task),
        terminals.running("tasks", "follow", task) as following,
    ):
        assert following.stdout is not None
        following.stdout.readline()
        assert terminals.run("tasks", "cancel", task, "--reason", "enough of it").code == 0
        out, err = run.communicate(timeout=PATIENCE)
        told = following.stdout.read()
    assert run.returncode == 1, err
    assert following.returncode == 1
    assert "enough of it" in out
    assert "enough of it" in told
    assert not (terminals.home / "host.sock").exists()


def test_detach_wants_a_host_that_goes_on(terminals: Product) -> None:
    with own_run(terminals, "slow", "never ends"):
        done = terminals.run("run", "quick", "hello", "--detach")
        assert done.code == 2, done
        assert "agenthost up" in done.err


def test_a_second_run_outlives_the_first_whose_host_it_used(terminals: Product) -> None:
    with (
        own_run(terminals, "slow", "never ends") as (first, task),
        terminals.running("run", "many", "--json") as second,
    ):
        assert second.stdout is not None
        head = [second.stdout.readline() for _ in range(12)]
        assert terminals.run("tasks", "cancel", task).code == 0
        first.communicate(timeout=PATIENCE)
        rest = second.stdout.read()
        assert second.wait() == 0
    seen = recorded("".join(head) + rest)
    assert_every_event_once(terminals, seen, seen[0][0])


def test_ctrl_c_in_a_run_keeps_its_task_and_twice_cancels_it(terminals: Product) -> None:
    with own_run(terminals, "slow", "never ends") as (run, task):
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert f"agenthost tasks follow {task}" in err
    assert "working" in terminals.run("tasks", "list").out
    with terminals.running("tasks", "follow", task) as again:
        until(lambda: (terminals.home / "host.sock").exists())
        again.send_signal(signal.SIGINT)
        assert again.stderr is not None
        assert "Ctrl-C again" in again.stderr.readline()
        time.sleep(0.3)  # another press, and not the echo of the first
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=PATIENCE)
    assert again.returncode == 130
    assert "canceled" in terminals.run("tasks", "list").out


def test_ctrl_c_in_a_follower_leaves_the_task_alone(terminals: Product) -> None:
    with up(terminals):
        task = detach(terminals, "slow", "never ends")
        with terminals.running("tasks", "follow", task) as following:
            assert following.stdout is not None
            following.stdout.readline()
            following.send_signal(signal.SIGINT)
            _, err = following.communicate(timeout=PATIENCE)
        assert following.returncode == 130
        assert "the task goes on" in err
        assert "working" in terminals.run("tasks", "list").out
