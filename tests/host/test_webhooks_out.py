"""Calls out of a real host: told, signed, in order, again until they are taken, and only to where they may go."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from agenthost.core.access import Caller, Person
from agenthost.core.administration import NewPerson, PersonChange
from agenthost.core.api import Order
from agenthost.core.errors import BadInput, Conflict, Forbidden, NotFound, StoreDamaged, Temporary
from agenthost.core.webhooks import NewWebhook
from agenthost.host.host import Host
from agenthost.host.webhooks.deliverer import AT_ONCE, OF_ONE
from agenthost.sandboxes.egress.way import Way
from agenthost.testing.openai_server.service import serving
from host.conftest import ASKER, ECHO, PAIR, PLAYS, Opens, followed

OWNER = Caller()
QUESTION = """
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""
QUICK = '[webhooks]\nbackoff = 0.01\nbackoff-most = 0.05\nattempts = 3\ntimeout = 5\n[network]\nprivate = ["hook.lan:PORT"]\n'


class Receiver:
    """Somebody who is called. `answers`: the status of each call in turn, 200 after the last. `takes`: how many it still
    takes before it fails at everything; None is any number. `again`: the Retry-After of each call in turn; `let_go`: nothing is
    answered before it is set."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.again: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.takes: int | None = None
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.headers: dict[str, str] = {}
        self.stuck: asyncio.Event | None = None
        self.came = asyncio.Event()
        self.url = ""
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        call = ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        self.calls.append(call)
        self.came.set()
        if self.stuck is not None:
            await self.stuck.wait()
        status = self.answers.pop(0) if self.answers else 200
        if self.takes is not None and status == 200:
            status, self.takes = (200, self.takes - 1) if self.takes else (500, 0)
        if status == 200:
            self.taken.append(call)
        await self.let_go.wait()
        told = {"Location": "/elsewhere"} if status == 302 else {}
        again = {"Retry-After": self.again.pop(0)} if self.again else {}
        return web.Response(status=status, headers=self.headers | told | again)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.calls) < count:
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def receiving(*answers: int) -> AsyncGenerator[Receiver]:
    receiver = Receiver(*answers)
    app = web.Application()
    app.router.add_post("/{any:.*}", receiver.take)
    async with serving(app) as url:
        receiver.port = int(url.rpartition(":")[2])
        receiver.url = f"http://hook.lan:{receiver.port}/hook"
        yield receiver


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """hook.lan is this machine, and so is evil.example; nothing is looked up elsewhere."""

    async def look_up(way: Way, host: str, port: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)]

    monkeypatch.setattr(Way, "_look_up", look_up)


def quick(receiver: Receiver) -> str:
    return QUICK.replace("PORT", str(receiver.port))


def verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As the specification of Standard Webhooks says that a receiver does it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return headers["webhook-signature"] == "v1," + base64.b64encode(wanted).decode()


async def settled(host: Host, webhook: str, state: str, count: int = 1) -> list[Any]:
    """A webhook's deliveries, once so many are in a state."""
    async with asyncio.timeout(30):
        while True:
            found = await host.webhooks.deliveries(OWNER, webhook, 0, 50)
            if sum(delivery.state == state for delivery in found) >= count:
                return found
            await asyncio.sleep(0.01)


async def test_an_end_is_told_signed_and_once(opens: Opens) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        row = await host.start(Order("echo", "hi", title="greet", conversation="c1"))
        await followed(host, row.id)
        (delivery,) = await settled(host, made.id, "delivered")
        ((headers, body),) = receiver.calls
    assert verified(headers, body, made.secret)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert (headers["webhook-id"], headers["content-type"]) == (delivery.id, "application/json")
    told = json.loads(body)
    assert told["type"] == "task.ended"
    assert (
        told["data"] | {"task": row.id, "outcome": "done", "state": "completed", "conversation": "c1"} == told["data"]
    )
    assert (delivery.attempts, delivery.status, delivery.body) == (1, 200, body)


async def test_a_question_is_told_before_the_end_and_in_order(opens: Opens) -> None:
    async with receiving(500, 500) as receiver:
        host = await opens(QUESTION, ASKER, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        row = await host.start(Order("asker", "hi"))
        await receiver.until(1)
        await host.reply(row.id, "red")
        await settled(host, made.id, "delivered", 2)
        told = receiver.bodies()
    assert [each["type"] for each in told] == ["task.question"] * 3 + ["task.ended"]
    assert (
        told[0]["data"]["question"] | {"text": "Which colour?", "options": ["red", "blue"]}
        == told[0]["data"]["question"]
    )
    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 2


async def test_what_is_never_taken_is_given_up_with_the_reason_and_others_go_on(opens: Opens) -> None:
    async with receiving(500, 302, 404) as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        first = await host.start(Order("echo", "one"))
        await followed(host, first.id)
        (dead,) = await settled(host, made.id, "dead")
        await followed(host, (await host.start(Order("echo", "two"))).id)
        await settled(host, made.id, "delivered")
    assert (dead.attempts, dead.status) == (3, 404)
    assert "404" in dead.reason
    assert len(receiver.calls) == 4


@pytest.mark.parametrize("wait", ["\N{SUPERSCRIPT TWO}", "-1", "1e400", "Mon, 01 Jan 0001 00:00:00 -0000", "\udcff"])
async def test_no_answer_keeps_others_from_being_called(opens: Opens, wait: str) -> None:
    async with receiving(503, 503, 503) as receiver:
        receiver.headers = {"Retry-After": wait}
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, made.id)
        await settled(host, made.id, "dead")
        receiver.headers = {}
        await host.webhooks.test(OWNER, made.id)
        await settled(host, made.id, "delivered")


async def test_who_may_not_use_the_host_any_more_is_told_nothing(opens: Opens) -> None:
    async with receiving() as receiver:
        host = await opens(PLAYS, ECHO, ASKER, work=True, toml=quick(receiver))
        await host.accounts.put_person(Person("ann", "user", 1.0))
        ann = Caller("ann", "user", ("read", "work"))
        made = await host.webhooks.make(ann, NewWebhook(receiver.url))
        row = await host.start(Order("asker", "ask me", person="ann"))
        await receiver.until(1)
        await host.admin().change_person("ann", PersonChange(disabled=True, tasks="keep"))
        await host.webhooks.test(ann, made.id)  # what was to be sent by then isn't either
        await host.reply(row.id, "red")
        await followed(host, row.id)
        async with asyncio.timeout(30):
            while not (await host.webhooks.show(ann, made.id)).disabled:
                await asyncio.sleep(0.01)
        await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await followed(host, (await host.start(Order("echo", "the owner's"))).id)
        await receiver.until(2)
    assert [told["data"]["person"] for told in receiver.bodies()] == ["ann", "owner"]


async def test_whose_receiver_is_slow_keeps_nobody_elses_from_being_called(opens: Opens) -> None:
    async with receiving() as slow, receiving() as quickly:
        slow.stuck = asyncio.Event()
        toml = QUICK.replace('["hook.lan:PORT"]', f'["hook.lan:{slow.port}", "hook.lan:{quickly.port}"]')
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=toml)
        for person in ("eve", "ann"):
            await host.accounts.put_person(Person(person, "user", 1.0))
        eve, ann = Caller("eve", "user", ("read", "work")), Caller("ann", "user", ("read", "work"))
        for _ in range(AT_ONCE + 4):
            await host.webhooks.test(eve, (await host.webhooks.make(eve, NewWebhook(slow.url))).id)
        await slow.until(OF_ONE)
        await host.webhooks.test(ann, (await host.webhooks.make(ann, NewWebhook(quickly.url))).id)
        await quickly.until(1)
        assert len(slow.calls) == OF_ONE
        slow.stuck.set()
        await slow.until(AT_ONCE + 4)


async def test_a_redirect_is_not_followed(opens: Opens) -> None:
    async with receiving(302, 302, 302) as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, made.id)
        (dead,) = await settled(host, made.id, "dead")
    assert "redirects are not followed" in dead.reason
    assert len(receiver.calls) == 3


async def test_who_answers_410_is_not_called_again_until_it_is_tested(opens: Opens) -> None:
    async with receiving(410) as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, made.id)
        await settled(host, made.id, "dead")
        async with asyncio.timeout(10):
            while not (await host.webhooks.show(OWNER, made.id)).disabled:
                await asyncio.sleep(0.01)
        await followed(host, (await host.start(Order("echo", "hi"))).id)
        assert len(receiver.calls) == 1
        await host.webhooks.test(OWNER, made.id)
        await settled(host, made.id, "delivered")
        assert not (await host.webhooks.show(OWNER, made.id)).disabled
    # The task's end may be looked at only now, and is told then.
    assert "webhook.test" in [body["type"] for body in receiver.bodies()[1:]]


async def test_an_answer_that_asks_for_nonsense_ends_nobodys_calls(opens: Opens) -> None:
    nonsense = [
        "\u00b2",
        "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    ]
    async with receiving(503, 503, 503) as receiver:
        receiver.again = list(nonsense)
        toml = quick(receiver).replace("attempts = 3", "attempts = 9")
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=toml)
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, made.id)
        await settled(host, made.id, "delivered")
    assert len(receiver.calls) == len(nonsense) + 1


async def test_a_webhook_that_is_removed_while_it_is_called_stays_removed(opens: Opens) -> None:
    async with receiving(410) as receiver:
        receiver.let_go.clear()
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, made.id)
        await receiver.until(1)
        await host.webhooks.remove(OWNER, made.id)
        receiver.let_go.set()
        # The next call is begun once the one before it is over with.
        other = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        await host.webhooks.test(OWNER, other.id)
        await settled(host, other.id, "delivered")
        async with asyncio.timeout(10):
            while any("webhook" in name for name in host.engine.services.supervisor.names if name != "webhooks"):
                await asyncio.sleep(0.01)
        assert [each.id for each in await host.webhooks.all(OWNER)] == [other.id]


async def test_a_journal_that_cant_be_read_for_a_moment_is_told_of_later(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        deliverer = host._deliverer  # pyright: ignore[reportPrivateUsage]
        busy = [Temporary("the disk is slow", code="disk-error"), Temporary("the disk is slow", code="disk-error")]

        async def journal(task: str) -> Any:
            if busy:
                deliverer.call()
                raise busy.pop()
            return await host.events_of(task)

        monkeypatch.setattr(deliverer, "_journal", journal)
        row = await host.start(Order("echo", "hi"))
        await settled(host, made.id, "delivered")
    assert [body["data"]["task"] for body in receiver.bodies()] == [row.id]


async def test_the_end_of_a_task_whose_journal_is_damaged_is_told_by_its_row(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))

        async def journal(task: str) -> Any:
            raise StoreDamaged("a file is gone")

        monkeypatch.setattr(host._deliverer, "_journal", journal)  # pyright: ignore[reportPrivateUsage]
        row = await host.start(Order("echo", "hi"))
        await settled(host, made.id, "delivered")
    (body,) = receiver.bodies()
    assert (body["type"], body["data"]["task"]) == ("task.ended", row.id)
    assert (body["data"]["state"], body["data"]["outcome"]) == ("completed", "done")


async def test_an_end_that_was_long_on_its_way_into_the_journal_is_told_to_who_came_meanwhile(opens: Opens) -> None:
    """A step has the time at which it began; what it stops may take long to stop."""
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        services = host.engine.services
        services.parts = replace(services.parts, clock=lambda: time.time() - 20)
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        row = await host.start(Order("echo", "hi"))
        await followed(host, row.id)
        await settled(host, made.id, "delivered")
    assert [body["data"]["task"] for body in receiver.bodies()] == [row.id]


async def test_a_private_address_is_never_called_unless_its_host_is_named(opens: Opens) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        evil = await host.webhooks.make(OWNER, NewWebhook(f"http://evil.example:{receiver.port}/x"))
        await host.webhooks.test(OWNER, evil.id)
        (dead,) = await settled(host, evil.id, "dead")
        assert "not a public one" in dead.reason and "evil.example" in dead.reason
        assert receiver.calls == []
        for url in (
            "http://127.0.0.1/x", "http://[::1]:80/", "http://169.254.169.254/latest", "http://10.0.0.1", "ftp://a.example/",
            "http://user:word@a.example/", "nonsense", "", "http:///x", "http://[::ffff:127.0.0.1]/",
        ):  # fmt: skip
            with pytest.raises(BadInput):
                await host.webhooks.make(OWNER, NewWebhook(url))


async def test_a_tree_of_tasks_has_one_end_and_only_what_is_wanted_is_told(opens: Opens) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, PAIR, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url, ("task.ended",)))
        await host.webhooks.make(OWNER, NewWebhook(receiver.url + "/questions", ("task.question",)))
        other = await host.start(Order("pair", "before"))
        await followed(host, other.id)
        one = await host.webhooks.make(OWNER, NewWebhook(receiver.url + "/one", task=other.id))
        row = await host.start(Order("pair", "hi"))
        await followed(host, row.id)
        await settled(host, made.id, "delivered", 2)
    assert sorted(told["data"]["task"] for told in receiver.bodies()) == sorted([other.id, row.id])
    assert await host.webhooks.deliveries(OWNER, one.id, 0, 50) == []


@pytest.mark.parametrize("change", ["disabled", "removed"])
async def test_who_is_disabled_or_removed_is_told_nothing(opens: Opens, change: str) -> None:
    async with receiving() as receiver:
        host = await opens(QUESTION, ASKER, work=True, toml=quick(receiver))
        await host.admin().add_person(NewPerson("ann"))
        ann = Caller("ann", "user", ("read", "work"))
        made = await host.webhooks.make(ann, NewWebhook(receiver.url))
        owners = await host.webhooks.make(OWNER, NewWebhook(receiver.url))
        row = await host.start(Order("asker", "hi", person="ann"))
        await receiver.until(1)
        if change == "disabled":
            await host.admin().change_person("ann", PersonChange(disabled=True, tasks="keep"))
        else:
            await host.admin().delete_person("ann", "keep")
        await host.reply(row.id, "red")
        await followed(host, row.id)
        await host.webhooks.test(ann, made.id)
        await host.webhooks.test(OWNER, owners.id)
        await settled(host, owners.id, "delivered")
        told = await host.webhooks.deliveries(ann, made.id, 0, 50)
    assert [(each.event, each.status) for each in told] == [("webhook.test", 410), ("task.question", 200)]
    assert [body["type"] for body in receiver.bodies()] == ["task.question", "webhook.test"]


async def test_a_webhook_is_its_persons_alone(opens: Opens) -> None:
    host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True)
    ann, bob = Caller("ann", "user", ("read", "work")), Caller("bob", "owner")
    reader = Caller("ann", "read-only", ("read",))
    made = await host.webhooks.make(ann, NewWebhook("https://a.example/hook"))
    assert [each.id for each in await host.webhooks.all(ann)] == [made.id]
    assert (await host.webhooks.show(ann, made.id)).secret == ""
    assert await host.webhooks.all(bob) == []
    for asked in (host.webhooks.show, host.webhooks.remove, host.webhooks.test):
        with pytest.raises(NotFound):
            await asked(bob, made.id)
    with pytest.raises(NotFound):
        await host.webhooks.deliveries(bob, made.id, 0, 10)
    for call in (
        host.webhooks.make(reader, NewWebhook("https://a.example")),
        host.webhooks.remove(reader, made.id),
        host.webhooks.test(reader, made.id),
    ):
        with pytest.raises(Forbidden):
            await call
    await host.webhooks.remove(ann, made.id)
    assert await host.webhooks.all(ann) == []
    assert await host.secrets() == []


async def test_a_key_makes_one_webhook_and_a_secret_may_be_ones_own(opens: Opens) -> None:
    host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO)
    secret = "whsec_" + base64.b64encode(b"x" * 32).decode()
    wanted = NewWebhook("https://a.example/hook", secret=secret)
    made = await host.webhooks.make(OWNER, wanted, "k1")
    assert made.secret == secret
    assert await host.webhooks.make(OWNER, wanted, "k1") == made
    with pytest.raises(Conflict):
        await host.webhooks.make(OWNER, NewWebhook("https://b.example"), "k1")
    for wrong in ("whsec_", "whsec_c2hvcnQ=", "secret", "whsec_@@@@", "whsec_" + "é" * 40):
        with pytest.raises(BadInput, match="secret"):
            await host.webhooks.make(OWNER, NewWebhook("https://a.example", secret=wrong))


async def test_no_end_is_lost_by_a_host_that_was_closed_before_it_could_tell(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        host = await opens("rules:\n  - reply: {text: 'done'}\n", ECHO, work=True, toml=quick(receiver))
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url))

        async def nothing() -> None:
            return None

        monkeypatch.setattr(host._deliverer, "gather", nothing)  # pyright: ignore[reportPrivateUsage]
        row = await host.start(Order("echo", "hi"))
        await followed(host, row.id)
        await host.close()
        assert receiver.calls == []
        host = await opens("rules:\n  - reply: {text: 'done'}\n", work=True, toml=quick(receiver))
        await settled(host, made.id, "delivered")
    assert receiver.bodies()[0]["data"]["task"] == row.id


WORKER = """
import asyncio, sys
from pathlib import Path
from agenthost.core.access import Caller, Person
from agenthost.core.administration import PersonChange
from agenthost.core.api import Order
from agenthost.host.host import open_host
from agenthost.host.settings import load
from agenthost.core.webhooks import NewWebhook
from agenthost.sandboxes.egress.way import Way

async def look_up(way, host, port):
    return [("127.0.0.1", port)]

Way._look_up = look_up

async def main(home, url, tasks):
    host = await open_host(load(Path(home), {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{home}/plays.yaml"}), work=True)
    await host.apply({"a.yaml": Path(home, "echo.yaml").read_text()})
    await host.webhooks.make(Caller(), NewWebhook(url), "one")
    for number in range(int(tasks)):
        await host.start(Order("echo", f"task {number}", key=f"task-{number}"))
    Path(home, "started").touch()
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_every_end_is_told_though_the_host_is_killed_again_and_again(tmp_path: Path) -> None:
    """SIGKILL at moments that no one chose, several times over sixty tasks: each end arrives, under one id."""
    tasks = 60
    (tmp_path / "plays.yaml").write_text("rules:\n  - reply: {text: 'done and done', pause: 0.005}\n")
    (tmp_path / "echo.yaml").write_text(ECHO)
    tmp_path.chmod(0o700)
    async with receiving(*[500, 200, 200] * 10) as receiver:
        settings = quick(receiver).replace("attempts = 3", "attempts = 50").replace("timeout = 5", "timeout = 0.2")
        (tmp_path / "agenthost.toml").write_text(settings)
        (tmp_path / "worker.py").write_text(WORKER)
        command = [sys.executable, str(tmp_path / "worker.py"), str(tmp_path), receiver.url, str(tasks)]

        def ends() -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for headers, body in receiver.taken:
                found.setdefault(json.loads(body)["data"]["task"], set()).add(headers["webhook-id"])
            return found

        kills = 0
        while len(ends()) < tasks or kills < 4:
            receiver.takes = 12
            (tmp_path / "started").unlink(missing_ok=True)
            worker = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
            try:
                async with asyncio.timeout(60):
                    while not (tmp_path / "started").exists() or (receiver.takes and len(ends()) < tasks):
                        await asyncio.sleep(0.002)
            finally:
                os.kill(worker.pid, signal.SIGKILL)
                await worker.wait()
                kills += 1
    assert all(len(ids) == 1 for ids in ends().values())


async def test_what_counts_of_a_question_that_nobody_answered_is_told(opens: Opens) -> None:
    async with receiving() as receiver:
        host = await opens(QUESTION, ASKER, work=True, toml=quick(receiver) + "[asking]\nquestions = 0.5\n")
        made = await host.webhooks.make(OWNER, NewWebhook(receiver.url, ("task.question", "task.answered")))
        await host.start(Order("asker", "hi"))
        await settled(host, made.id, "delivered", 2)
        asked, answered = (each["data"] for each in receiver.bodies())
    assert asked["question"]["until"] > 0
    assert answered["question"] == {"id": asked["question"]["id"]}
    assert answered["answer"] == {"text": "", "by": "host", "via": "time-limit"}
