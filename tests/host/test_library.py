"""The manifests of a host."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.budgets import Limits
from agenthost.core.errors import BadInput, NewerVersion, NotFound
from agenthost.core.ports import Tool, Tools
from agenthost.core.tasks import Scope
from agenthost.host import library as module
from agenthost.tools.arguments import UNKNOWN, described
from host import gated_tools
from tests.host.conftest import ECHO, PAIR, PLAYS, Lines, Opens, followed

RUNS = {
    "tools": ("agent", ECHO.replace("spec: {", "spec: {tools: [run], ")),
    "group": ("agent", ECHO.replace("spec: {", "spec: {tools: [workspace], ")),
    "checks": ("agent", ECHO.replace("spec: {", "spec: {completion: {rule: checks, checks: [{run: 'true'}]}, ")),
    "stage": ("agent", ECHO.replace("spec: {", "spec: {stages: [{id: a, tools: [run]}], ")),
}
FLOW = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  description: Runs
  steps:
    - {id: go, %s}
"""


@pytest.mark.parametrize("text", [text for _, text in RUNS.values()], ids=list(RUNS))
async def test_an_agent_that_may_run_code_is_known_by_whatever_reaches_it(opens: Opens, text: str) -> None:
    delegates = ECHO.replace("name: echo", "name: boss").replace("spec: {", "spec: {tools: ['delegate:echo'], ")
    outer = FLOW.replace("name: flow", "name: outer") % "workflow: pair"
    host = await opens(PLAYS, text, delegates, PAIR, outer)
    assert all(bool(host.library.code(name)) for name in ("echo", "boss", "pair", "outer"))


@pytest.mark.parametrize(
    "step, runs",
    [("command: ls", True), ("tool: run, with: {command: ls}", True), ("tool: list_files", False)],
)
async def test_a_step_that_runs_code_is_known(opens: Opens, step: str, runs: bool) -> None:
    host = await opens(PLAYS, FLOW % step)
    assert bool(host.library.code("flow")) is runs


class Nameless:
    """Tools of an adapter that forgets to say who described them, beside the host's own."""

    def __init__(self, own: Tools) -> None:
        self._own = own

    def names(self) -> list[str]:
        return self._own.names()

    def expand(self, name: str) -> list[Tool]:
        return [gated_tools.NOTE] if name == "note" else self._own.expand(name)

    def tool(self, name: str) -> Tool:
        return gated_tools.NOTE if name == "note" else self._own.tool(name)


async def test_all_tools_that_a_host_has_are_its_own_and_one_that_is_joined_without_a_source_is_a_stranger_s(
    opens: Opens,
) -> None:
    text = ECHO.replace("spec: {", "spec: {tools: [workspace, note], ")
    host = await opens(PLAYS, text, toml='[tools]\nnote = "host.gated_tools:NOTE"\n')
    tools = host._adapters.tools  # pyright: ignore[reportPrivateUsage]
    every = [tool for name in tools.names() for tool in tools.expand(name)]
    assert len(every) > 6 and {described(tool).source for tool in every} == {""}
    host.library._tools = Nameless(tools)  # pyright: ignore[reportPrivateUsage]
    bundle = await host.library.bundle(await host.library.pin("agent", "echo", "", "default"))
    by_name = {tool.name: tool.source for tools in bundle.agents["echo"].tools.values() for tool in tools}
    assert by_name["note"] == UNKNOWN and by_name["read_file"] == ""


async def test_an_agent_that_only_talks_runs_no_code(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR)
    assert not bool(host.library.code("pair"))


async def test_a_namespace_that_this_host_does_not_have_is_refused(opens: Opens) -> None:
    host = await opens()
    with pytest.raises(BadInput, match="metadata.namespace 'team', and this host has only 'default'; leave it out"):
        await host.apply({"a": ECHO.replace("name: echo", "name: echo, namespace: team")})
    assert await host.manifests("agent") == {}


async def test_delete_is_refused_while_another_needs_it_and_a_running_task_goes_on(opens: Opens) -> None:
    host = await opens("rules:\n  - reply: {text: done, delay: 0.05}\n", ECHO, PAIR)
    with pytest.raises(BadInput, match="the agent 'echo' is used by workflow 'pair'; change or delete that first"):
        await host.delete("agent", "echo")
    task = (await host.start(Order("pair", "x"))).id
    await host.delete("workflow", "pair")
    await host.delete("agent", "echo")
    await followed(host, task)
    assert (await host.task(task)).row.outcome == "done"
    assert host.library.replicas("default", "pair/one") == 1
    with pytest.raises(NotFound, match="there is no agent 'echo'. None is defined yet."):
        await host.delete("agent", "echo")
    with pytest.raises(NotFound, match="there is no kind 'tool'"):
        await host.delete("tool", "echo")
    with pytest.raises(NotFound, match="there is no kind"):
        await host.manifests("tool")


async def test_an_apply_and_a_delete_at_once_leave_no_workflow_without_its_agent(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    outcomes = await asyncio.gather(host.apply({"pair": PAIR}), host.delete("agent", "echo"), return_exceptions=True)
    assert isinstance(outcomes[1], BadInput), outcomes
    assert list(await host.manifests("agent")) == ["echo"] and list(await host.manifests("workflow")) == ["pair"]


async def test_a_budget_is_read_live(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO.replace("spec: {", "spec: {budget: {turns: 3}, "))
    scope = Scope("t", Limits(turns=1), "default/agent/echo")
    assert host.library.limits(scope) == Limits(turns=3)
    await host.delete("agent", "echo")
    assert host.library.limits(scope) == Limits(turns=1)


async def test_a_kept_manifest_that_can_not_be_read_is_left_out_and_logged(
    opens: Opens, tmp_path: Path, log: Lines
) -> None:
    host = await opens(PLAYS, ECHO, PAIR)
    await host.close()
    with sqlite3.connect(tmp_path / "home" / "agenthost.db") as connection:
        connection.execute("UPDATE manifests SET body = ? WHERE name = 'pair'", (b'{"kind": "Workflow", "spec": 3}',))
    connection.close()
    host = await opens()
    assert list(await host.manifests("agent")) == ["echo"] and await host.manifests("workflow") == {}
    assert "the workflow 'pair' that is kept can't be read" in log.errors()[0]["problem"]
    done, _ = await host.apply({"pair": PAIR})
    assert [each.outcome for each in done] == ["created"]


@pytest.mark.journals("its definitions are gone")
async def test_definitions_that_are_gone_or_of_a_newer_version_stop_only_their_task(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 1)
    host = await opens(PLAYS, ECHO, PAIR)
    tasks = [(await host.start(Order(name, "x"))).id for name in ("echo", "pair")]
    for task in tasks:
        await followed(host, task)
    for task in tasks:
        assert all(report.agrees for report in await host.replay(task))
    await host.close()
    with sqlite3.connect(tmp_path / "home" / "agenthost.db") as connection:
        connection.execute("UPDATE definitions SET body = ?", (b'{"agents": 3}',))
    connection.close()
    host = await opens()
    with pytest.raises(NewerVersion, match="can't be read .*upgrade this one to go on with the task"):
        await host.replay(tasks[0])
    await host.close()
    with sqlite3.connect(tmp_path / "home" / "agenthost.db") as connection:
        connection.execute("DELETE FROM definitions")
    connection.close()
    host = await opens()
    with pytest.raises(NotFound, match="the definitions sha256:.* are gone"):
        await host.replay(tasks[0])
