"""Traces of a real host, as a real OTLP receiver decodes them: whole, also over restarts, without what was said."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web

from agenthost.core.traces import span_id, trace_id
from agenthost.models.playbook import load_playbook
from agenthost.telemetry import tracer
from agenthost.testing.openai_server.service import Service
from tests.telemetry.conftest import PLAYBOOK, Serves, make_home, up
from tests.telemetry.receiver import Receiver, Span, receiving

CAUSE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLIENT = 3


def told(receiver: Receiver, more: str = "") -> str:
    return f'[telemetry]\nendpoint = "{receiver.url}"\n{more}'


def tree(spans: list[Span]) -> dict[str, str]:
    """Each span's name below its parent's, where it isn't the root."""
    names = {span.id: span.name.partition("/")[0].strip() for span in spans}
    assert len(names) == len(spans), "a span came twice"
    return {f"{names.get(span.parent, '')} > {names[span.id]} {span.id}": span.trace for span in spans}


async def test_a_task_is_one_trace_of_its_steps_calls_runs_and_children(serves: Serves) -> None:
    more = 'headers = {x-key = "k"}\nservice = "mine"\n'
    async with receiving() as receiver, serves(told(receiver, more)) as served:
        task = await served.done("family", traceparent=CAUSE)
        assert (await served.host.task(task)).trace == trace_id(task)
    spans = receiver.spans
    assert {span.trace for span in spans} == {trace_id(task)}
    shape = sorted(name.rpartition(" ")[0] for name in tree(spans))
    assert shape == [
        " > invoke_workflow family",
        "invoke_agent quick > chat",
        "invoke_agent quick > chat",
        "invoke_workflow family > run_command",
        "invoke_workflow family > step first-1",
        "invoke_workflow family > step second-1",
        "step first-1 > invoke_agent quick",
        "step second-1 > invoke_agent quick",
    ]
    root = next(span for span in spans if not span.parent)
    assert root.links == [tuple(CAUSE.split("-")[1:3])]
    assert root.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert all(root.start <= span.start <= span.end <= root.end for span in spans)
    chat = next(span for span in spans if span.name.startswith("chat"))
    assert chat.kind == CLIENT
    assert chat.attributes["gen_ai.provider.name"] == "scripted"
    assert chat.attributes["gen_ai.usage.input_tokens"] == 100
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert chat.schema == "https://opentelemetry.io/schemas/1.41.0"
    assert chat.resource["service.name"] == "mine"
    assert {headers.get("x-key") for headers in receiver.headers} == {"k"}
    ((labels, calls, _),) = receiver.metrics["gen_ai.client.operation.duration"]
    assert (labels["gen_ai.operation.name"], calls) == ("chat", 2)
    used = {labels["gen_ai.token.type"]: total for labels, _, total in receiver.metrics["gen_ai.client.token.usage"]}
    assert used == {"input": 200, "output": 20}


async def test_what_fails_says_how_and_each_attempt_is_a_span(serves: Serves) -> None:
    async with receiving() as receiver, serves(told(receiver)) as served:
        await served.done("shaky")
        await served.done("broken")
    calls = sorted((span for span in receiver.spans if span.kind == CLIENT), key=lambda span: span.start)
    assert [span.attributes.get("error.type") for span in calls] == ["rate-limit", None, "bad-request"]
    assert [span.attributes.get("agenthost.attempt") for span in calls] == [None, 2, None]
    assert [span.status for span in calls] == [2, 0, 2]
    ended = {span.name: span.attributes.get("error.type") for span in receiver.spans if span.kind != CLIENT}
    assert ended == {"invoke_agent shaky": None, "invoke_agent broken": "bad-request"}


@pytest.mark.parametrize("wanted", [False, True])
async def test_what_was_said_is_in_spans_only_where_a_setting_wants_it(serves: Serves, wanted: bool) -> None:
    async with receiving() as receiver, serves(told(receiver, f"content = {str(wanted).lower()}\n")) as served:
        await served.done("writer")
        await served.done("broken")
    everything = json.dumps([[span.attributes, span.message] for span in receiver.spans])
    assert [word in everything for word in ("You said", "hello", "a.txt", "refused")].count(wanted) >= 3, everything
    tool = next(span for span in receiver.spans if span.name == "execute_tool write_file")
    assert tool.attributes["gen_ai.tool.name"] == "write_file"
    assert tool.attributes["gen_ai.tool.call.id"]
    if wanted:
        assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"path": "a.txt", "content": "hello"}
        task = next(span for span in receiver.spans if span.name == "invoke_agent writer")
        assert json.loads(task.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"] == "hello"


async def test_a_stop_and_a_start_are_within_one_trace(serves: Serves) -> None:
    async with receiving() as receiver:
        async with serves(told(receiver)) as served:
            async with served.client.post("/api/v1/tasks", json={"name": "asking", "text": "hello"}) as answer:
                task = (await answer.json())["id"]
            while not (await served.host.task(task)).questions:
                await asyncio.sleep(0.01)
        before = len(receiver.spans)
        async with serves(told(receiver)) as served:
            async with served.client.post(f"/api/v1/tasks/{task}/replies", json={"text": "red"}) as answer:
                assert answer.status < 300
            await served.end(task)
    shape = sorted(name.rpartition(" ")[0] for name in tree(receiver.spans))
    assert shape == [
        " > invoke_agent asking",
        "invoke_agent asking > ask input",
        "invoke_agent asking > chat",
        "invoke_agent asking > chat",
    ]
    assert set(tree(receiver.spans).values()) == {trace_id(task)}
    first, asked = receiver.spans[0], next(span for span in receiver.spans if span.name == "ask input")
    assert before == 1
    assert asked.start >= first.start
    root = next(span for span in receiver.spans if not span.parent)
    assert root.start <= first.start
    assert root.attributes["agenthost.owners"] == 2
    assert root.attributes["gen_ai.usage.input_tokens"] == sum(
        span.attributes.get("gen_ai.usage.input_tokens", 0) for span in receiver.spans if span.kind == CLIENT
    )


async def test_a_killed_host_leaves_a_trace_that_goes_on(serves: Serves, tmp_path: Path) -> None:
    slow = PLAYBOOK.replace('reply: {text: "You said {{said}}"', 'reply: {delay: 600, text: "You said {{said}}"')
    async with receiving() as receiver:
        home = await asyncio.to_thread(make_home, tmp_path, told(receiver), slow)
        async with up(home, signal.SIGKILL) as client:
            async with client.post("/api/v1/tasks", json={"name": "writer", "text": "hello"}) as answer:
                task = (await answer.json())["id"]
            await receiver.span("execute_tool write_file")
        async with serves(told(receiver)) as served:
            await served.end(task)
    shape = sorted(name.rpartition(" ")[0] for name in tree(receiver.spans))
    assert shape == [
        " > invoke_agent writer",
        "invoke_agent writer > chat",
        "invoke_agent writer > chat",
        "invoke_agent writer > chat",
        "invoke_agent writer > execute_tool write_file",
    ]
    assert {span.trace for span in receiver.spans} == {trace_id(task)}
    cut = next(span for span in receiver.spans if span.attributes.get("error.type") == "owner-lost")
    assert cut.id == span_id(f"{task}/{cut.attributes['agenthost.command.id']}/1")


async def test_a_task_that_was_forgotten_meanwhile_is_told_whole(
    serves: Serves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "STORIES", 1)
    tasks: list[str] = []
    async with receiving() as receiver, serves(told(receiver)) as served:
        for _ in range(3):
            async with served.client.post("/api/v1/tasks", json={"name": "asking", "text": "hello"}) as answer:
                tasks.append((await answer.json())["id"])
        for task in tasks:
            while not (await served.host.task(task)).questions:
                await asyncio.sleep(0.01)
        for task in tasks:
            async with served.client.post(f"/api/v1/tasks/{task}/replies", json={"text": "red"}) as answer:
                assert answer.status < 300
            await served.end(task)
    for task in tasks:
        shape = sorted(
            name.rpartition(" ")[0] for name, trace in tree(receiver.spans).items() if trace == trace_id(task)
        )
        assert shape == [
            " > invoke_agent asking",
            "invoke_agent asking > ask input",
            "invoke_agent asking > chat",
            "invoke_agent asking > chat",
        ]


async def test_requests_to_models_carry_the_span_of_their_attempt(serves: Serves, tmp_path: Path) -> None:
    came: list[str] = []

    @web.middleware
    async def keeping(request: web.Request, handler):
        came.append(request.headers.get("traceparent", ""))
        return await handler(request)

    file = tmp_path / "server.yaml"
    file.write_text('rules: [{reply: {text: "yes"}}]')
    service = Service(await asyncio.to_thread(load_playbook, file))
    application = service.application()
    application.middlewares.append(keeping)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    model = f'[models.providers.far]\nbase-url = "{base}"\n[models.names.far]\nmodel = "far:gpt"\n'
    async with receiving() as receiver:
        async with serves(model + told(receiver)) as served:
            await served.done("distant")
        async with serves(model + told(receiver, "propagate = false\n")) as served:
            await served.done("distant")
        async with serves(model) as served:
            await served.done("distant")
    await runner.cleanup()
    service.close()
    sent = [span for span in receiver.spans if span.kind == CLIENT]
    assert [(span.name, span.attributes["gen_ai.provider.name"]) for span in sent] == [("chat gpt", "far")] * 2
    assert came == [f"00-{sent[0].trace}-{sent[0].id}-01", "", ""]


async def test_only_the_share_that_is_wanted_is_sent_and_everything_is_measured(serves: Serves) -> None:
    async with receiving() as receiver, serves(told(receiver, "sample = 0.0\n")) as served:
        await served.done("quick")
    assert receiver.spans == []
    assert receiver.metrics["gen_ai.client.operation.duration"][0][1] == 1


async def test_work_is_done_where_nobody_receives(serves: Serves) -> None:
    async with serves('[telemetry]\nendpoint = "http://127.0.0.1:9"\n') as served:
        await served.done("quick")


WITHOUT = """
import asyncio, sys
from pathlib import Path
for name in sys.argv[3:]:
    sys.modules[name] = None
from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError
from agenthost.host.host import open_host
from agenthost.host.settings import load

async def main():
    host = await open_host(load(Path(sys.argv[1]), {"AGENTHOST_SANDBOX": "bubblewrap"}))
    try:
        await host.start(Order(name="quick", text="hello"))
    except AgentHostError as error:
        print(error.message)
    await host.close()
    print(sorted({name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "prometheus_client"}))

asyncio.run(main())
"""


@pytest.mark.parametrize("exported", [False, True])
async def test_libraries_are_loaded_only_where_they_are_wanted_and_missed_in_words(
    tmp_path: Path, exported: bool
) -> None:
    toml = '[telemetry]\nendpoint = "http://127.0.0.1:9"\n' if exported else ""
    home = await asyncio.to_thread(make_home, tmp_path, toml, PLAYBOOK)
    missing = ["opentelemetry"] if exported else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WITHOUT, str(home), "-", *missing, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    lines = output.decode().splitlines()
    if exported:
        assert any("pip install 'agenthost[otel]'" in line for line in lines)
    else:
        assert lines[-1] == "[]"
