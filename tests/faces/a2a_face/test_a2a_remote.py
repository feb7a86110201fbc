"""Two hosts: an agent of one is carried out by an agent of the other."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.commands import Ask
from agenthost.core.events import Asked, Begun, Finished, Recorded
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.faces.a2a_face.conftest import ECHO, MODEL, TOKEN, Serving

FLOW = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  description: One step here, one elsewhere
  roles: {near: {agent: near}, far: {agent: far}}
  steps:
    - {id: first, role: near, prompt: "near {{ task.text }}"}
    - {id: second, role: far, prompt: "far {{ steps.first.text }}"}
  output: "{{ steps.second.text }}"
"""
NEAR = ECHO.replace("name: echo", "name: near")


def far(serving: Serving, agent: str, more: str = "") -> str:
    return f"""\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: far}}
spec:
  description: Elsewhere
  runtime: a2a
  a2a: {{url: "{serving.url}/a2a/{agent}", token: other}}
{more}"""


@contextlib.asynccontextmanager
async def near(home: Path, serving: Serving, manifests: Sequence[str], toml: str = "") -> AsyncGenerator[Host]:
    """The other host, which knows the first one's token as a secret."""
    home.mkdir(exist_ok=True)
    (home / "agenthost.toml").write_text(f'{toml}[network]\nprivate = ["{urlsplit(serving.url).netloc}"]\n')
    settings = load(home, {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": MODEL})
    host = await open_host(settings, work=True)
    try:
        await host.set_secret("other", TOKEN)
        _, problems = await host.apply({f"{at}.yaml": text for at, text in enumerate(manifests)})
        assert not problems, problems
        yield host
    finally:
        await host.close()


async def ended(host: Host, task: str) -> Finished:
    async for item in host.follow(task):
        if isinstance(item, Recorded) and item.task == task and isinstance(item.event, Finished):
            return item.event
    raise AssertionError("it didn't end")


async def until(host: Host, task: str, kind: type) -> Recorded:
    async for item in host.follow(task):
        if isinstance(item, Recorded) and isinstance(item.event, kind):
            return item
    raise AssertionError(f"no {kind.__name__} came")


async def asked(host: Host, task: str) -> Ask:
    async for item in host.follow(task):
        if isinstance(item, Recorded) and isinstance(item.event, Asked) and isinstance(item.event.command, Ask):
            return item.event.command
    raise AssertionError("nothing was asked")


async def state_of(serving: Serving, name: str) -> str:
    (row,) = await serving.host.tasks(Filter(name=name))
    return row.state


async def test_a_step_of_a_workflow_is_done_elsewhere(tmp_path: Path, serving: Serving, scripted: str) -> None:
    async with near(tmp_path / "near", serving, [NEAR, far(serving, "echo"), FLOW], scripted) as host:
        row = await host.start(Order("flow", "hello"))
        finished = await ended(host, row.id)
        assert finished.verdict.outcome == "done", finished
        assert "far You said near hello" in str(finished.parts)
        assert all(report.agrees for report in await host.replay(row.id))
    (there,) = await serving.host.tasks(Filter(name="echo"))
    assert there.conversation.startswith(row.id)


async def test_its_words_are_shown_while_they_come(tmp_path: Path, serving: Serving) -> None:
    async with near(tmp_path / "near", serving, [far(serving, "echo")]) as host:
        row = await host.start(Order("far", "slowly please"))
        pieces, said = 0, ""
        async for item in host.follow(row.id):
            if isinstance(item, LiveDelta):
                said = item.delta.text if item.delta.reset else said + item.delta.text
                pieces += bool(item.delta.text)
        assert said == "one two three four five six" and pieces > 1


async def test_what_it_asks_is_asked_here_and_the_answer_goes_there(tmp_path: Path, serving: Serving) -> None:
    async with near(tmp_path / "near", serving, [far(serving, "asker")]) as host:
        row = await host.start(Order("far", "go"))
        ask = await asked(host, row.id)
        assert ask.question == "Which colour?" and ask.options == ("red", "blue")
        assert await state_of(serving, "asker") == "input-required"
        await host.reply(row.id, "blue")
        finished = await ended(host, row.id)
        assert finished.verdict.outcome == "done" and "You said blue" in str(finished.parts)


async def test_its_files_come_into_the_workspace(tmp_path: Path, serving: Serving) -> None:
    async with near(tmp_path / "near", serving, [far(serving, "writer")]) as host:
        row = await host.start(Order("far", "write"))
        assert (await ended(host, row.id)).verdict.outcome == "done"
        (file,) = await host.artifacts(row.id)
        assert file.path == "out/hello.txt" and await host.get_file(file.digest) == b"hello there"


async def test_a_cancel_reaches_it_while_it_works_and_while_it_asks(tmp_path: Path, serving: Serving) -> None:
    async with near(tmp_path / "near", serving, [far(serving, "echo")]) as host:
        row = await host.start(Order("far", "forever"))
        await until(host, row.id, Begun)
        await host.cancel(row.id)
        assert (await ended(host, row.id)).verdict.outcome == "canceled"
        assert await state_of(serving, "echo") == "canceled"
        await host.apply({"far.yaml": far(serving, "asker")})
        row = await host.start(Order("far", "go"))
        await asked(host, row.id)
        await host.cancel(row.id)
        assert (await ended(host, row.id)).verdict.outcome == "canceled"
        async with asyncio.timeout(20):
            while await state_of(serving, "asker") != "canceled":
                await asyncio.sleep(0.05)


async def test_a_failure_there_is_told_with_its_reason(tmp_path: Path, serving: Serving) -> None:
    async with near(tmp_path / "near", serving, [far(serving, "echo")]) as host:
        row = await host.start(Order("far", "nonsense"))
        finished = await ended(host, row.id)
        assert finished.verdict.outcome == "blocked" and "no such thing" in finished.verdict.reason


async def test_a_private_address_is_refused_unless_the_settings_name_it(tmp_path: Path, serving: Serving) -> None:
    home = tmp_path / "near"
    async with near(home, serving, [far(serving, "echo")]) as host:
        await host.apply({"far.yaml": far(serving, "echo").replace("127.0.0.1", "127.0.0.2")})
        row = await host.start(Order("far", "hello"))
        finished = await ended(host, row.id)
        assert finished.verdict.outcome == "blocked" and "not a public one" in finished.verdict.reason
    assert await serving.host.tasks(Filter(name="echo")) == []


@pytest.mark.parametrize("wrong", ["model: play:x", "tools: [ask]"])
async def test_an_agent_elsewhere_has_its_own_model_and_tools(tmp_path: Path, serving: Serving, wrong: str) -> None:
    async with near(tmp_path / "near", serving, []) as host:
        _, problems = await host.apply({"far.yaml": far(serving, "echo", f"  {wrong}\n")})
        assert "has its own" in problems[0].message
        _, problems = await host.apply({"far.yaml": ECHO.replace("spec: {", "spec: {tools: [keep_files], ")})
        assert problems and "keep_files" in problems[0].message
