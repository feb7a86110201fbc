"""What a person gets wrong, and what the world does to them: the real command's exact words, its exit code, and
that nothing was lost or half done."""

import json
import os
import stat
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agenthost.stores.sqlite.migrating import migrations
from tests.product.product import CODER, ECHO, LOOK, WHOLE, Product, Server, calls, json_answer, png

ASKER = ECHO.replace("name: echo", "name: asker") + "  tools: [ask]\n"
ASKS = """\
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""
QUICK = "[work]\nattempts = 2\nbackoff = 0.01\nbackoff-most = 0.01\n"
NEWER = (
    "the journal has an event 'teleported' of version 9, written by a newer AgentHost (this one reads up to version 1); "
    "upgrade AgentHost to go on with this task"
)


# --- files that a person gives ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, content, words",
    [
        (
            "text.png",
            b"Dear system, draw a box.\n",
            "text.png is not a picture: it holds text; give a PNG, JPEG, GIF or WebP picture",
        ),
        (
            "big.png",
            png(padding=50 * 1024 * 1024),
            "big.png has 50 MB, and a file may have 20 MB; give a smaller or more compressed picture, or raise the limit "
            "in the settings",
        ),
        ("empty.png", b"", "empty.png is empty; give a file with something in it"),
        ("cut.png", png(40)[:50], "cut.png is a damaged PNG picture (it is cut short); save or download it again"),
    ],
    ids=["text named .png", "50 MB", "empty", "cut"],
)
@pytest.mark.parametrize("how", ["--file", "--input"])
def test_a_file_that_is_no_usable_picture_is_refused_and_not_kept(
    product: Product, name: str, content: bytes, words: str, how: str
) -> None:
    product.apply(ECHO, LOOK)
    file = str(product.write(name, content))
    product.run("run", "look", how, file if how == "--file" else f"sketch={file}").refused(words)
    assert product.tasks() == []
    assert not list(product.home.glob("blobs/??/*"))


def test_a_file_that_is_not_there(product: Product) -> None:
    product.apply(ECHO, LOOK)
    product.run("run", "look", "--file", "nope.png").refused("there is no file 'nope.png'")


def test_a_picture_of_another_kind_than_the_workflow_takes(product: Product) -> None:
    product.apply(ECHO, LOOK)
    product.write("a.gif", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")
    product.run("run", "look", "--file", "a.gif").refused(
        "the input 'sketch' of 'look' takes image/png, image/jpeg, and 'a.gif' is image/gif"
    )
    assert product.tasks() == []


# --- names and inputs -------------------------------------------------------------------------------


def test_an_unknown_agent_names_the_nearest(product: Product) -> None:
    product.apply(ECHO)
    product.run("run", "ecko", "hi").refused(
        "there is no agent or workflow 'ecko'. Did you mean 'echo'? `agenthost get agent` lists them; "
        "`agenthost apply -f FILE` adds one"
    )
    assert product.tasks() == []


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["look"],
            "the workflow 'look' needs the input 'sketch' (the drawing): give it with --file PATH (or --input sketch=PATH)",
        ),
        (
            ["look", "--file", "ok.png", "--input", "lang=python"],
            "the workflow 'look' has no input 'lang'. Did you mean 'language'?",
        ),
        (
            ["look", "--file", "ok.png", "--input", "count=many"],
            "the input 'count' of 'look' must be a whole number, not 'many'",
        ),
        (
            ["look", "--file", "ok.png", "--file", "ok.png"],
            "the workflow 'look' has no input for the file 'ok.png': it takes 1 (sketch)",
        ),
        (
            ["look", "--file", "ok.png", "--input", "count"],
            "--input count: write it as NAME=VALUE (a file as NAME=PATH)",
        ),
        (["echo"], 'say what the agent is to do: agenthost run echo "TEXT"'),
        (["echo", "  "], 'say what the agent is to do: agenthost run echo "TEXT"'),
        (
            ["echo", "hi", "--input", "a=b"],
            "'echo' is an agent and takes no inputs; say it in the text, or run a workflow",
        ),
    ],
    ids=["missing", "unknown", "type", "two files", "no value", "no text", "blank text", "agent"],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_is_kept(
    product: Product, words: list[str], said: str
) -> None:
    product.apply(ECHO, LOOK)
    product.write("ok.png", png())
    product.run("run", *words).refused(said)
    assert product.tasks() == []
    assert product.sql("SELECT count(*) FROM definitions") == [(0,)]


def test_text_may_come_after_options(product: Product) -> None:
    product.apply(ECHO)
    done = product.run("run", "echo", "--model", "default", "hello")
    assert done.code == 0 and "You said hello" in done.out, done


@pytest.mark.parametrize(
    "words, said",
    [
        (["get", "agnt"], "there is no kind 'agnt'. Did you mean 'agent'?"),
        (["get", "agent", "ehco"], "there is no agent 'ehco'. Did you mean 'echo'?"),
        (["delete", "agent", "nope"], "there is no agent 'nope'. Known: echo."),
        (
            ["delete", "agent", "echo"],
            "the agent 'echo' is used by workflow 'look'; change or delete that first",
        ),
        (["tasks", "show", "zzz"], "there is no task 'zzz'; `agenthost tasks list` shows those that there are"),
        (["tasks", "show", "last"], "there is no task yet; `agenthost run` starts one"),
        (
            ["tasks", "show", ""],
            "name a task: its id, the beginning of it, or `last`; `agenthost tasks list` shows them",
        ),
        (["secrets", "set", "KEY"], "no value was given for KEY; type it at the prompt, or pipe it in"),
        (
            ["secrets", "set", "my key"],
            "'my key' is no name for a secret: letters, digits, _ and -, such as OPENAI_API_KEY",
        ),
        (["secrets", "delete", "KEY"], "there is no secret 'KEY'"),
    ],
)
def test_names_that_do_not_exist(product: Product, words: list[str], said: str) -> None:
    product.apply(ECHO, LOOK)
    product.run(*words).refused(said)
    assert product.run("get", "agent", "--names").out == "echo\n"


@pytest.mark.journals("its tasks are rows alone")
def test_an_id_that_several_tasks_begin_with(product: Product) -> None:
    product.apply(ECHO)
    for key in "ab":
        assert product.run("run", "echo", "hi", "--key", key).code == 0
    ids = sorted(id for (id,) in product.sql("SELECT id FROM tasks"))
    # Two ids that begin alike are made so: which ids there are is up to the keys.
    other = ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1")
    product.sql("UPDATE tasks SET id = ?, root = ? WHERE id = ?", other, other, ids[1])
    both = ", ".join(sorted([ids[0], other]))
    product.run("tasks", "show", ids[0][:8]).refused(
        f"several tasks begin with '{ids[0][:8]}': {both}; give more of the id"
    )


# --- models -----------------------------------------------------------------------------------------


CONNECT = (
    "Set OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME; "
    "`agenthost model list` shows what is there."
)


@pytest.mark.parametrize(
    "model, said",
    [
        ("", f"no model is set. {CONNECT}"),
        ("openai:gpt-5.5", f"the model 'openai:gpt-5.5' needs a key and OPENAI_API_KEY isn't set. {CONNECT}"),
        ("opnai:gpt-5.5", "there is no model provider 'opnai'. Did you mean 'openai'?"),
    ],
    ids=["none", "no key", "unknown provider"],
)
def test_no_model_to_be_had(product: Product, model: str, said: str) -> None:
    product.apply(ECHO)
    product.env["AGENTHOST_MODEL"] = model
    product.run("run", "echo", "hi").refused(said)
    assert product.tasks() == []


@contextmanager
def openai(product: Product, *answers: tuple[int, str, bytes]) -> Generator[Server]:
    """The product beside a server that answers like this, wherever it is asked."""
    with Server(*answers) as server:
        product.env |= {
            "OPENAI_API_KEY": "sk-test-1234567890",
            "OPENAI_BASE_URL": server.url,
            "AGENTHOST_MODEL": "openai:gpt-4.1",
        }
        yield server


HTML = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"


@pytest.mark.parametrize(
    "answer, tries, code, said",
    [
        (
            (200, "text/html", HTML),
            2,
            1,
            "openai at {url} sent an answer that can't be used: it is an HTML page instead of JSON. If it goes on, check "
            "that OPENAI_BASE_URL is the address of an OpenAI-compatible API.",
        ),
        (
            (404, "text/html", HTML),
            1,
            2,
            "{url} answered 404: this does not look like OpenAI's API. Check OPENAI_BASE_URL; such an address mostly ends "
            "in /v1.",
        ),
        (
            (200, "application/json", b"{{{{ \xff\x00 garbage"),
            2,
            1,
            "openai at {url} sent an answer that can't be used: it is not JSON. If it goes on, check that OPENAI_BASE_URL "
            "is the address of an OpenAI-compatible API.",
        ),
        (
            json_answer(WHOLE | {"choices": []}),
            2,
            1,
            "openai at {url} sent an answer that can't be used: it holds an empty list of choices. If it goes on, check "
            "that OPENAI_BASE_URL is the address of an OpenAI-compatible API.",
        ),
        (
            json_answer({"error": {"message": "Incorrect API key provided: sk-test-1234567890."}}, 401),
            1,
            1,
            "openai refused the key: Incorrect API key provided: ***. Set OPENAI_API_KEY to a key that may use gpt-4.1.",
        ),
    ],
    ids=["HTML", "404", "garbage", "no choices", "401"],
)
def test_a_server_that_is_no_model(
    product: Product, answer: tuple[int, str, bytes], tries: int, code: int, said: str
) -> None:
    product.apply(ECHO)
    product.settings(QUICK)
    with openai(product, answer) as server:
        done = product.run("run", "echo", "hi")
        assert done.code == code, done
        assert f"\nblocked: {said.format(url=server.url)}\n" in done.out, done
        assert len(server.requests) == tries
        assert "sk-test-1234567890" not in done.out + done.err
    assert product.tasks() == [("echo", "failed", "")]
    assert product.run("tasks", "replay", "last").code == 0


def test_nobody_listens_at_the_base_url(product: Product) -> None:
    product.apply(ECHO)
    product.settings(QUICK)
    with openai(product, json_answer(WHOLE)) as server:
        url = server.url
    done = product.run("run", "echo", "hi")
    assert done.code == 1, done
    assert f"\nblocked: openai can't be reached at {url}. Check that it runs, and OPENAI_BASE_URL.\n" in done.out, done


def test_the_same_task_goes_well_after_one_answer_of_garbage(product: Product) -> None:
    product.apply(ECHO)
    product.settings(QUICK)
    with openai(product, (200, "application/json", b"<html>"), json_answer(WHOLE)) as server:
        done = product.run("run", "echo", "hi")
        assert done.code == 0 and "\nfine\n" in done.out, done
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "name, arguments, told",
    [
        ("write_file", '{"path": "a.py", "content": not json', "not valid JSON"),
        ("write_fil", "{}", "There is no tool 'write_fil'. Did you mean 'write_file'?"),
    ],
    ids=["arguments that are no JSON", "unknown tool"],
)
def test_a_model_that_calls_a_tool_wrongly_is_told_and_may_do_better(
    product: Product, name: str, arguments: str, told: str
) -> None:
    product.apply(CODER.replace("[workspace]", "[write_file]"))
    with openai(product, json_answer(calls(name, arguments)), json_answer(WHOLE)) as server:
        done = product.run("run", "coder", "hi")
        assert done.code == 0 and "\nfine\n" in done.out, done
        result = json.loads(server.requests[1])["messages"][-1]
        assert result["role"] == "tool" and told in result["content"], result
    assert product.run("tasks", "artifacts", "last").out == ""


def test_the_scripted_model_does_not_pretend_to_see_a_picture(product: Product) -> None:
    product.apply(ECHO, LOOK)
    product.plays.write_text(f'rules:\n  - when: {{file: "sha256:{"0" * 64}"}}\n    reply: {{text: A box}}\n')
    product.write("mine.png", png())
    done = product.run("run", "look", "--file", "mine.png", "--input", "language=python")
    assert done.code == 2, done
    assert (
        "The scripted model can't read mine.png: it knows only the pictures of its playbook. To connect a real model, set "
        "OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME." in done.out
    ), done


def test_a_budget_without_room_ends_the_task_with_the_reason(product: Product) -> None:
    product.apply(ECHO + "  budget: {tokens: 10}\n")
    done = product.run("run", "echo", "hi")
    assert done.code == 1, done
    assert "and 0 of the budget's 10 are spent or reserved; raise budget.tokens to go further" in done.out, done
    assert product.sql("SELECT count(*) FROM ledger") == [(0,)]


# --- the machine ------------------------------------------------------------------------------------


def test_without_a_sandbox_code_is_refused_and_nothing_is_kept(product: Product) -> None:
    product.apply(CODER, ECHO)
    product.env["PATH"] = str(product.folder / "nothing-here")
    done = product.run("run", "coder", "hi")
    assert done.code == 2 and done.out == "", done
    assert done.err.startswith("agenthost: code runs only in a sandbox, and there is none: bwrap is not installed"), (
        done
    )
    assert "To mend it: " in done.err
    assert product.tasks() == []
    assert product.sql("SELECT count(*) FROM definitions") == [(0,)]
    assert product.run("run", "echo", "hi").code == 0


def test_a_sandbox_of_an_unknown_kind(product: Product) -> None:
    product.without("AGENTHOST_SANDBOX")
    product.settings("[sandbox]\nkind = 'dokker'\n")
    product.run("tasks", "list").refused(
        'there is no sandbox \'dokker\'; [sandbox] kind in agenthost.toml, or AGENTHOST_SANDBOX, may be one of "auto", "gvisor", "bubblewrap", "docker", "functions"'
    )


def test_a_home_that_is_a_file(product: Product) -> None:
    product.home.write_text("")
    product.run("tasks", "list").refused(
        f"the home {product.home} is a file, not a folder; move it away, or choose another home with AGENTHOST_HOME, or "
        "make this one writable for this user"
    )


@contextmanager
def small_disk(folder: Path, options: str) -> Generator[None]:
    """A disk of its own at `folder`, where this user may mount one."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if os.getuid() or mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_home_that_can_only_be_read(product: Product) -> None:
    product.apply(ECHO)
    if os.getuid():
        kept = [product.home, *product.home.rglob("*")]
        for path in kept:
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        try:
            done = product.run("run", "echo", "hi")
        finally:
            for path in kept:
                path.chmod(path.stat().st_mode | stat.S_IWUSR)
    else:
        with small_disk(product.folder / "read-only", "ro"):
            product.env["AGENTHOST_HOME"] = str(product.folder / "read-only")
            done = product.run("run", "echo", "hi")
    assert done.code == 2 and done.out == "", done
    assert "can't be written" in done.err and "choose another home with AGENTHOST_HOME" in done.err, done
    assert len(done.err.splitlines()) == 1, done


def test_a_full_disk_keeps_nothing_half_and_all_goes_on_when_there_is_room(product: Product) -> None:
    with small_disk(product.home, "size=4m,mode=700"):
        product.apply(ECHO)
        filler = product.home / "filler"
        fill(filler)
        done = product.run("run", "echo", "hi")
        assert done.code == 1, done
        assert done.err.splitlines()[-1].startswith("agenthost: the disk that holds "), done
        assert "nothing of this step was written. Make room there" in done.err, done
        assert product.run("tasks", "list").out == ""
        filler.unlink()
        assert product.run("run", "echo", "hi").code == 0
        assert product.tasks() == [("echo", "completed", "")]


def fill(filler: Path) -> None:
    """Fill a disk to the last byte."""
    with open(filler, "ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def test_a_disk_that_fills_up_while_a_task_goes_on_only_delays_it(product: Product) -> None:
    """The answer of the first call can't be committed; with room again, the task ends well."""
    with small_disk(product.home, "size=4m,mode=700"):
        product.apply(ECHO)
        filler = product.home / "filler"

        class Filling(Server):
            def answer(self, number: int) -> tuple[int, str, bytes]:
                if number == 0:
                    fill(filler)
                return super().answer(number)

        with Filling(json_answer(WHOLE)) as server:
            product.env |= {
                "OPENAI_API_KEY": "sk-test-1234567890",
                "OPENAI_BASE_URL": server.url,
                "AGENTHOST_MODEL": "openai:gpt-4.1",
            }
            with product.running("run", "echo", "hi") as process:
                assert process.stderr is not None
                for line in process.stderr:
                    if "again soon" in line:
                        break
                filler.unlink()
                out, err = process.communicate(timeout=90)
        assert process.returncode == 0 and "\nfine\n" in out, out + err
        assert product.tasks() == [("echo", "completed", "")]
        assert product.run("tasks", "replay", "last").code == 0


def test_a_second_host_on_the_same_home(product: Product) -> None:
    product.apply(ECHO)
    with product.running("up") as process:
        while not (product.home / "host.sock").exists():
            assert process.poll() is None
            time.sleep(0.02)
        product.run("up").refused(
            f"another host (process {process.pid}) holds the home {product.home}; wait until it has ended, end it "
            f"(`kill {process.pid}`), or choose another home with AGENTHOST_HOME. Every other verb works beside it"
        )
        assert product.run("run", "echo", "hi").code == 0, "beside the host that runs"
    assert product.tasks() == [("echo", "completed", "")]


# --- what is kept -----------------------------------------------------------------------------------


@pytest.mark.journals("the database is spoiled")
def test_a_corrupted_database(product: Product) -> None:
    product.apply(ECHO)
    (product.home / "agenthost.db").write_bytes(b"garbage " * 4096)
    product.run("run", "echo", "hi").refused(
        f"the database {product.home}/agenthost.db is damaged (file is not a database); restore it from a backup, or move "
        "it away together with agenthost.db-wal and agenthost.db-shm to start with an empty one"
    )


def test_a_database_of_a_newer_version(product: Product) -> None:
    product.apply(ECHO)
    product.sql("PRAGMA user_version = 99")
    product.run("run", "echo", "hi").refused(
        f"{product.home}/agenthost.db was written by a newer AgentHost (format 99, this one knows up to {len(migrations())}); upgrade "
        "AgentHost, or choose another home with AGENTHOST_HOME"
    )


def waiting_task(product: Product) -> str:
    """A task that waits for a person, while no host runs."""
    product.apply(ASKER, ECHO)
    product.plays.write_text(ASKS)
    done = product.run("run", "asker", "hi")
    assert done.code == 4 and "Which colour? [red / blue]" in done.out, done
    return product.sql("SELECT id FROM tasks WHERE ended = 0")[0][0]


@pytest.mark.journals("a newer host wrote a part of one")
def test_a_journal_of_a_newer_version_stops_its_task_and_no_other(product: Product) -> None:
    task = waiting_task(product)
    product.sql("INSERT INTO events SELECT id, seq + 1, 1e9, 'teleported', 9, x'7b7d' FROM tasks WHERE id = ?", task)
    product.sql("UPDATE tasks SET seq = seq + 1 WHERE id = ?", task)

    done = product.run("tasks", "follow", task)
    assert done.code == 2 and done.err.splitlines()[-1] == f"agenthost: {NEWER}", done
    assert "asks: Which colour?" in done.out, "what can be read is shown"
    assert product.tasks() == [("asker", "input-required", "dead-letter")]
    shown = product.run("tasks", "show", task)
    assert shown.code == 0 and f"reason   {NEWER}\n" in shown.out and "(dead-letter)" in shown.out, shown

    assert product.run("run", "echo", "hi").code == 0
    assert product.tasks() == [("asker", "input-required", "dead-letter"), ("echo", "completed", "")]

    # What can't be read can still be got rid of.
    assert product.run("tasks", "cancel", task).code == 0
    ended = product.run("tasks", "follow", task)
    assert ended.code == 1 and f"canceled: cancelled while it was held: {NEWER}\n" in ended.out, ended
    assert product.tasks()[0] == ("asker", "canceled", "")


def test_a_held_task_goes_on_by_itself_once_it_can_be_read(product: Product) -> None:
    task = waiting_task(product)
    product.sql("UPDATE tasks SET hold = 'dead-letter', reason = 'written by a newer AgentHost' WHERE id = ?", task)
    assert product.run("tasks", "follow", task).code == 4
    assert product.tasks() == [("asker", "input-required", "")]


def test_a_reply_counts_once_and_is_carried_out_by_the_next_host(product: Product) -> None:
    task = waiting_task(product)
    product.run("tasks", "reply", task, "red", "--question", "nope").refused(
        f"the task '{task}' has no open question 'nope'; what it waits for: agenthost tasks show {task}"
    )
    first = product.run("tasks", "reply", task, "2")
    assert first.code == 0 and first.out == "Answered '2' to: Which colour?\n", first
    assert first.err == f"no host is running; it goes on with: agenthost tasks follow {task}\n"
    late = product.run("tasks", "reply", task, "red")
    assert late.code == 2 and "answered already: 'blue', by owner over cli" in late.err, late
    done = product.run("tasks", "follow", task)
    assert done.code == 0 and "You said blue" in done.out, done
    late = product.run("tasks", "reply", task, "red")
    assert late.code == 2 and "answered already: 'blue', by owner over cli" in late.err, late
    product.run("tasks", "cancel", task).refused(
        f"task {task} has ended already (completed); there is nothing to cancel"
    )
    assert product.sql("SELECT count(*) FROM ledger") == [(2,)], "nobody worked on it in between"


def test_a_cancel_without_a_host_is_carried_out_by_the_next_one(product: Product) -> None:
    task = waiting_task(product)
    assert product.run("tasks", "cancel", task, "--reason", "wrong colour").code == 0
    assert product.tasks() == [("asker", "input-required", "")]
    done = product.run("tasks", "follow", task)
    assert done.code == 1 and "canceled: wrong colour\n" in done.out, done


def test_a_secret_that_a_model_says_is_neither_kept_nor_shown(product: Product) -> None:
    secret = "hunter2-correct-horse"
    product.apply(ECHO)
    assert product.run("secrets", "set", "DOOR", stdin=f"{secret}\n".encode()).code == 0
    product.plays.write_text(f'rules:\n  - reply: {{text: "it is {secret}, {"x" * 20000}"}}\n')
    done = product.run("run", "echo", f"is it {secret}?")
    assert done.code == 0 and "it is [secret DOOR]" in done.out, done
    shown = [product.run("tasks", "show", "last"), product.run("tasks", "follow", "last", "--json")]
    assert all(secret not in each.out + each.err for each in (done, *shown))
    product.run("tasks", "export", "last", "--to", "task.zip")
    product.plays.unlink()
    for path in product.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


# --- settings and manifests -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, said",
    [
        ("[work]\natempts = 3\n", "[work] has no key 'atempts'. Did you mean 'attempts'?"),
        ("[wrk]\n", "there is no table or key 'wrk'. Did you mean 'work'?"),
        ("[work]\nattempts = '3'\n", "work.attempts: expected a whole number, got a text"),
        ("[work]\ntasks = 0\n", "work.tasks: expected a whole number >= 1"),
        (
            "[models.providers.mine]\nbase-ulr = 'x'\n",
            "[models.providers[...]] has no key 'base-ulr'. Did you mean 'base-url'?",
        ),
        ("[files]\nsise = 3\n", "[files] has no key 'sise'. Did you mean 'size'?"),
    ],
)
def test_settings_that_can_not_be_used(product: Product, text: str, said: str) -> None:
    product.settings(text)
    product.run("tasks", "list").refused(f"{product.home}/agenthost.toml has a setting that can't be used: {said}")
    assert not (product.home / "agenthost.db").exists()


def test_settings_that_are_no_toml(product: Product) -> None:
    product.settings("[work\n")
    product.run("tasks", "list").refused(
        f"{product.home}/agenthost.toml is not valid TOML: Expected ']' at the end of a table declaration (at line 1, "
        "column 6)"
    )


def test_broken_yaml_is_told_with_its_place_and_nothing_is_applied(product: Product) -> None:
    product.write("good.yaml", ECHO)
    product.write("bad.yaml", "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: x\nspec: {}\n")
    done = product.run("apply", "-f", "good.yaml", "-f", "bad.yaml")
    assert done.code == 2, done
    assert done.out.startswith("bad.yaml:4:"), done
    assert done.out.endswith("1 mistake; nothing was applied\n"), done
    assert product.run("get", "agent", "--names").out == ""


def test_a_manifest_that_names_nothing_is_told_with_its_place(product: Product) -> None:
    product.write("look.yaml", LOOK)
    done = product.run("apply", "-f", "look.yaml")
    assert done.code == 2, done
    assert (
        done.out.splitlines()[0]
        == "look.yaml:10:27: spec.roles.reader.agent: there is no agent 'echo'. None is defined yet."
    ), done


def test_a_broken_file_in_the_drop_in_folder_hinders_nothing_and_is_logged(product: Product) -> None:
    folder = product.home / "manifests"
    folder.mkdir(parents=True)
    (folder / "a-echo.yaml").write_text(ECHO)
    (folder / "b-bad.yaml").write_text(ECHO.replace("instructions", "instruction"))
    (folder / "c-look.yaml").write_text(LOOK)
    (folder / "d-latin.yaml").write_bytes(b"description: caf\xe9\n")
    done = product.run("get", "agent", "--names")
    assert done.code == 0 and done.out == "echo\n", done
    assert "b-bad.yaml" in done.err and "Did you mean 'instructions'?" in done.err, done
    assert "d-latin.yaml" in done.err and "it is not text in UTF-8" in done.err, done
    assert product.run("get", "workflow", "--names").out == "look\n"
