"""Every operation of the API as everybody who isn't its task's person: what is decided here is what the operation says and
what it takes. One that nobody decided on fails."""

import json
from functools import partial
from typing import Any, Literal, cast

import pytest

from agenthost.core.access import RIGHTS, Caller, Right, Role
from agenthost.core.api import Linked, Order
from agenthost.core.conversations import Line
from agenthost.core.grants import Grant
from agenthost.core.ports import Filter
from agenthost.core.schedules import NewSchedule
from agenthost.core.webhooks import NewWebhook
from agenthost.faces.http import budgets, conversations, erasure, grants, imports, metrics, schedules, webhooks
from agenthost.faces.http.app import Face, table
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.operations import Operation
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import Closing
from agenthost.host.budgets.desk import Desk as BudgetDesk
from agenthost.host.conversing.desk import Desk as ConversingDesk
from agenthost.host.erasure.desk import Desk as ErasureDesk
from agenthost.host.grants.desk import Desk as GrantDesk
from agenthost.host.importing.desk import Desk as ImportDesk
from agenthost.host.schedules.desk import Desk as ScheduleDesk
from agenthost.host.webhooks.desk import Desk as WebhookDesk
from agenthost.testing.memory_host import MemoryHost
from tests.faces.rest.conftest import Served


def _unasked(accept: str) -> Any:
    raise NotImplementedError


OPERATIONS = table(
    Site(Everybody(MemoryHost()), Closing()),
    [
        Face(operations=webhooks.operations(cast("WebhookDesk", None))),  # nothing of it is called
        Face(operations=grants.operations(cast("GrantDesk", None))),
        Face(operations=schedules.operations(cast("ScheduleDesk", None))),
        Face(operations=erasure.operations(cast("ErasureDesk", None))),
        Face(operations=imports.operations(cast("ImportDesk", None))),
        Face(streamed=partial(conversations.operations, cast("ConversingDesk", None))),
        Face(operations=budgets.operations(cast("BudgetDesk", None))),
        metrics.face(_unasked),
    ],
)
WORDS = "words of ann's that nobody else reads"
URL = "https://hooks.example.com/a-path-of-anns"
Whose = Literal["", "ann", "ann alone"]
"""Whose the thing is that the example is tried on: nobody's; Ann's, as every role but another user sees; Ann's and no
other's, whatever they are."""
DECIDED: dict[str, tuple[Right | None, Whose]] = {
    "getHealth": (None, ""),
    "getReadiness": (None, ""),
    "getHealthInFull": ("manage", ""),
    "startTask": ("work", ""),
    "listTasks": ("read", ""),
    "findTask": ("read", ""),
    "getTask": ("read", "ann"),
    "listChildren": ("read", "ann"),
    "getJournal": ("read", "ann"),
    "sayToTask": ("work", "ann"),
    "replyToTask": ("work", "ann"),
    "listApprovals": ("read", "ann"),
    "answerApproval": ("work", "ann"),
    "listQuestions": ("work", ""),
    "cancelTask": ("work", "ann"),
    "pauseTask": ("work", "ann"),
    "listBudgets": ("read", ""),
    "listTaskBudgets": ("read", "ann"),
    "setBudget": ("manage", ""),
    "clearBudget": ("manage", ""),
    "resumeTask": ("work", "ann"),
    "listArtifacts": ("read", "ann"),
    "getArtifact": ("read", "ann"),
    "linkArtifact": ("read", "ann"),
    "getEvidence": ("read", "ann"),
    "getLedger": ("read", "ann"),
    "exportTask": ("read", "ann"),
    "replayTask": ("read", "ann"),
    "forkTask": ("work", "ann"),
    "tryTask": ("work", ""),
    "importTask": ("work", ""),
    "contrastTrial": ("read", "ann"),
    "followTask": ("read", "ann"),
    "sendMessage": ("work", ""),
    "watchTasks": ("read", ""),
    "putFile": ("work", ""),
    "getFile": ("read", "ann"),
    "linkFile": ("read", "ann"),
    "openLink": (None, ""),
    "applyManifests": ("manage", ""),
    "validateManifests": ("read", ""),
    "listManifests": ("read", ""),
    "deleteManifest": ("manage", ""),
    "listAgents": ("read", ""),
    "getAgent": ("read", ""),
    "putAgent": ("manage", ""),
    "deleteAgent": ("manage", ""),
    "listAgentVersions": ("read", ""),
    "restoreAgent": ("manage", ""),
    "listWorkflows": ("read", ""),
    "getWorkflow": ("read", ""),
    "putWorkflow": ("manage", ""),
    "deleteWorkflow": ("manage", ""),
    "listWorkflowVersions": ("read", ""),
    "restoreWorkflow": ("manage", ""),
    "getMe": ("read", ""),
    "listPeople": ("own", ""),
    "addPerson": ("own", ""),
    "getPerson": ("own", ""),
    "changePerson": ("own", ""),
    "deletePerson": ("own", ""),
    "setPassword": ("own", ""),
    "makeSignInLink": ("own", ""),
    "listKeys": ("read", ""),
    "makeKey": ("read", ""),
    "revokeKey": ("read", ""),
    "getUsage": ("read", ""),
    "getAudit": ("own", ""),
    "getSettings": ("manage", ""),
    "changeSettings": ("own", ""),
    "getInfo": ("read", ""),
    "getDoctor": ("manage", ""),
    "listModels": ("read", ""),
    "probeModel": ("manage", ""),
    "useEmbed": ("work", ""),
    "useModerate": ("work", ""),
    "useDraw": ("manage", ""),
    "useSpeak": ("manage", ""),
    "useTranscribe": ("manage", ""),
    "usePutFile": ("manage", ""),
    "useFiles": ("manage", ""),
    "useGetFile": ("manage", ""),
    "useDeleteFile": ("manage", ""),
    "useStartBatch": ("manage", ""),
    "useBatch": ("manage", ""),
    "useBatches": ("manage", ""),
    "useCancelBatch": ("manage", ""),
    "getModel": ("read", ""),
    "listSecrets": ("own", ""),
    "setSecret": ("own", ""),
    "listConversations": ("read", ""),
    "listTopics": ("read", ""),
    "listLines": ("read", ""),
    "getLine": ("read", "ann alone"),
    "lineSent": ("work", "ann alone"),
    "moveLine": ("work", "ann alone"),
    "addWebhook": ("work", ""),
    "listWebhooks": ("read", ""),
    "getWebhook": ("read", "ann alone"),
    "deleteWebhook": ("work", "ann alone"),
    "testWebhook": ("work", "ann alone"),
    "listDeliveries": ("read", "ann alone"),
    "listGrants": ("read", ""),
    "getGrant": ("read", "ann"),
    "removeGrant": ("work", "ann"),
    "addSchedule": ("work", ""),
    "listSchedules": ("read", ""),
    "getSchedule": ("read", "ann"),
    "changeSchedule": ("work", "ann"),
    "deleteSchedule": ("work", "ann"),
    "pauseSchedule": ("work", "ann"),
    "resumeSchedule": ("work", "ann"),
    "runSchedule": ("work", "ann"),
    "listScheduleRuns": ("read", "ann"),
    "getScheduleManifest": ("read", ""),
    "putScheduleManifest": ("manage", ""),
    "deleteScheduleManifest": ("manage", ""),
    "listScheduleManifestVersions": ("read", ""),
    "restoreScheduleManifest": ("manage", ""),
    "deleteTask": ("work", "ann"),
    "erase": ("own", ""),
    "getMetrics": ("manage", ""),
    "getDescription": (None, ""),
    "getDocs": (None, ""),
}
"""Each operation with the right that it takes (None: no token is needed). A test compares it with what the API says."""
OTHERS: dict[str, Right] = {
    "cancelTask": "manage",
    "forkTask": "manage",
    "sayToTask": "manage",
    "replyToTask": "manage",
    "answerApproval": "manage",
    "removeGrant": "manage",
    "deleteTask": "own",
    "deleteSchedule": "manage",
    "pauseSchedule": "manage",
    "resumeSchedule": "manage",
    "runSchedule": "manage",
}
"""The right that an operation takes beside its own where the thing is somebody else's."""
ROLES: dict[str, tuple[Role, tuple[Right, ...]]] = {
    "ann": ("user", ()),
    "ann with a key that only reads": ("user", ("read",)),
    "bob": ("user", ()),
    "vera": ("read-only", ()),
    "otto": ("operator", ()),
    "olga": ("owner", ()),
}


async def world(served: Served) -> dict[str, str]:
    """A task of Ann's, ended, with a file of hers."""
    kept = await served.host.put_file("mine.txt", WORDS.encode())
    await served.host.accounts.own_file("default", "ann", kept.digest)
    task = await served.ended(WORDS, person="ann", files=(kept,))
    for kind in ("Agent", "Workflow"):
        body = next(each.example.body for each in OPERATIONS if each.id == f"put{kind}")
        await served.host.apply({"spare.yaml": json.dumps(body)})
    await served.host.apply(
        {
            "spare.yaml": json.dumps(
                body | {"kind": "Agent", "metadata": {"name": "spare"}, "spec": {"description": "x"}}
            )
        }
    )
    ann = Caller("ann", "user", ("read", "work"))
    webhook = await served.host.webhooks.of(ann, served.host).add(NewWebhook(URL))
    daily = NewSchedule("of-ann", {"cron": "@daily", "run": {"agent": "echo", "text": WORDS}})
    schedule = await served.host.schedules.of(ann, served.host).add(daily)
    said = Line("web:7", "m1", "person", "message", 1.0, WORDS, task=task, became=task, person="ann")
    (line,) = await served.host._adapters.conversations.add([said])  # pyright: ignore[reportPrivateUsage]
    await served.host.grants.kept.put(
        Grant("gr_anns", "default", "ann", "agent", "echo", "pay", "ann", 1.0, note=WORDS)
    )
    return {
        "task": task,
        "line": str(line.place),
        "digest": kept.digest,
        "secret": "none",
        "path": "mine.txt",
        "number": "1",
        "name": "echo",
        "webhook": webhook.id,
        "grant": "gr_anns",
        "schedule": schedule.id,
    }


async def tried(served: Served, operation: Operation, places: dict[str, str], token: str | None) -> tuple[int, str]:
    """The status and the text of the answer to an operation's example."""
    example, path = operation.example, operation.whole
    hers = {name: places[name] for name in ("webhook", "schedule", "line", "grant")}
    for name, value in (places | example.places | hers).items():
        path = path.replace("{" + name + "}", value)
    body = example.body if example.body is not None else example.content
    headers = {name.replace("-", "_"): value for name, value in example.headers.items()}
    status, _, content = await served.ask(operation.method, path, body, token, example.query, **headers)
    return status, repr(content)


def test_every_operation_was_decided_on_and_says_what_was_decided() -> None:
    assert {operation.id: operation.right for operation in OPERATIONS} == {
        id: right for id, (right, _) in DECIDED.items()
    }
    named = ("{task}", "{digest}", "{schedule}", "{grant}")
    of_hers = {operation.id for operation in OPERATIONS if any(name in operation.whole for name in named)}
    assert {id for id, (_, whose) in DECIDED.items() if whose == "ann"} == of_hers


@pytest.mark.parametrize("who", ROLES)
async def test_everybody_may_what_the_table_says_and_nothing_else(served: Served, who: str) -> None:
    places = await world(served)
    role, rights = ROLES[who]
    name = who.partition(" ")[0]
    token = await served.person(name, role, *rights)
    may = set(rights or RIGHTS[role])
    for operation in OPERATIONS:
        status, content = await tried(served, operation, places, token)
        right, whose = DECIDED[operation.id]
        needed = {right, OTHERS.get(operation.id, right) if whose and name != "ann" else right} - {None}
        where = f"{operation.id}: {status} {content[:300]}"
        assert status < 500, where
        if not needed <= may:
            assert status in (403, 404), where
        elif (whose == "ann" and name == "bob") or (whose == "ann alone" and name != "ann"):
            assert status == 404, where
        else:
            assert status not in (401, 403), where
        if who == "bob" or not needed <= may:
            assert WORDS not in content and places["task"] not in content.replace(f"'{places['task']}'", ""), where
        if name != "ann":
            assert URL not in content and places["webhook"] not in content.replace(f"'{places['webhook']}'", ""), where
    if "work" not in may or who == "bob":
        rows = await served.host.tasks(Filter(person="ann"))
        assert [row.id for row in rows] == [places["task"]]
    left = await served.host.webhooks.of(Caller("ann", "user", ("read", "work")), served.host).all()
    assert (places["webhook"] in {each.id for each in left}) == (who != "ann")
    assert await served.host.accounts.person("olga") is not None or who != "olga"


async def test_without_a_token_there_is_what_needs_none(served: Served) -> None:
    places = await world(served)
    for operation in OPERATIONS:
        for token in ("", "ah_wrong"):
            status, content = await tried(served, operation, places, token)
            if operation.right is None:
                assert status in (200, 404), operation.id
            else:
                assert status == 401, operation.id
            assert WORDS not in content


async def test_another_user_cant_answer_cancel_or_follow_what_goes_on(served: Served) -> None:
    task = await served.asking(person="ann")
    ann, bob = await served.person("ann", "user"), await served.person("bob", "user")
    for method, path, body in (
        ("POST", f"/api/v1/tasks/{task}/replies", {"text": "red"}),
        ("POST", f"/api/v1/tasks/{task}/approvals", {"text": "red"}),
        ("POST", f"/api/v1/tasks/{task}/cancel", {}),
        ("POST", "/api/v1/messages", {"task": task, "text": "red"}),
        ("GET", f"/api/v1/tasks/{task}/events", None),
    ):
        assert (await served.ask(method, path, body, bob))[0] == 404, path
    assert (await served.ask("GET", "/api/v1/events", None, bob))[2]["items"] == []
    assert (await served.ask("GET", "/api/v1/events", None, bob, {"person": "ann"}))[2]["items"] == []
    assert (await served.ask("GET", "/api/v1/tasks", None, bob, {"person": "ann"}))[2]["items"] == []
    assert (await served.host.task(task)).row.state == "input-required"
    assert (await served.ask("POST", f"/api/v1/tasks/{task}/approvals", {"text": "red"}, ann))[0] == 200


async def test_a_link_opens_one_file_without_a_token_while_its_maker_may(served: Served) -> None:
    places = await world(served)
    ann, bob = await served.person("ann", "user"), await served.person("bob", "user")
    path = f"/api/v1/files/{places['digest']}/links"
    assert (await served.ask("POST", path, {}, bob))[0] == 404
    status, _, made = await served.ask("POST", path, {"seconds": 60, "name": "ü.txt"}, ann)
    assert status == 201
    status, headers, content = await served.ask("GET", made["path"], None, "")
    assert (status, content.decode()) == (200, WORDS)
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC.txt"
    assert (await served.ask("GET", made["path"], None, "", range="bytes=0-4"))[::2] == (206, WORDS[:5].encode())
    for wrong in (made["path"][:-3] + "abc", "/api/v1/links/x", made["path"] + "A"):
        assert (await served.ask("GET", wrong, None, ""))[0] == 404
    row = await served.host.start(Order("echo", "hello", person="ann"))
    assert (await served.ask("GET", f"/api/v1/tasks/{row.id}", None, ""))[0] == 401
    await served.host.accounts.delete_person("ann")
    assert (await served.ask("GET", made["path"], None, ""))[0] == 404


async def test_a_link_that_has_expired_opens_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from agenthost.host import links

    kept = await served.host.put_file("a.txt", b"a text")
    secret = await served.host.link(Linked(kept.digest, links.time.time() + 60))
    later = links.time.time() + 61
    monkeypatch.setattr(links.time, "time", lambda: later)
    status, _, told = await served.ask("GET", f"/api/v1/links/{secret}", None, "")
    assert (status, "has expired" in told["detail"]) == (404, True)
