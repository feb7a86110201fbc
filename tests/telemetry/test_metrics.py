"""What /metrics tells of a real host at work, and whom."""

import asyncio

import aiohttp

from agenthost.core.access import Key, Person
from agenthost.host.reception import digest_of
from tests.telemetry.conftest import Serves


async def test_what_was_done_is_counted(serves: Serves) -> None:
    async with serves() as served:
        await served.done("writer")
        await served.done("family")
        await served.done("broken")
        await served.done("shaky")
        found = await served.metrics()
    model = f'model="scripted:{served.host.settings.home}/playbook.yaml"'
    expected = {
        'agenthost_http_requests_total{method="POST",route="/api/v1/tasks",status="201"}': 4,
        'agenthost_http_request_duration_seconds_count{method="GET",route="/api/v1/tasks/{task}/events"}': 4,
        'agenthost_tasks_begun_total{name="quick"}': 2,
        'agenthost_tasks_ended_total{name="family",outcome="done"}': 1,
        'agenthost_tasks_ended_total{name="broken",outcome="blocked"}': 1,
        'agenthost_task_duration_seconds_count{name="family"}': 1,
        f'agenthost_model_calls_total{{{model},outcome="ok"}}': 5,
        'agenthost_model_calls_total{model="default",outcome="bad-request"}': 1,
        'agenthost_model_calls_total{model="default",outcome="rate-limit"}': 1,
        f"agenthost_model_call_duration_seconds_count{{{model}}}": 5,
        'agenthost_tool_calls_total{outcome="ok",tool="write_file"}': 1,
        'agenthost_sandbox_runs_total{limit="none",outcome="ok",sandbox="bubblewrap"}': 1,
        'agenthost_tasks{state="working"}': 0,
        'agenthost_tasks_held{hold="dead-letter"}': 0,
        'agenthost_queue_waiting{queue="tasks"}': 0,
        "agenthost_http_streams": 0,
        'agenthost_events_total{kind="created"}': 6,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found[f'agenthost_model_tokens_total{{kind="input",{model}}}'] >= 300
    assert found["agenthost_store_commit_group_size_sum"] >= found["agenthost_store_commit_group_size_count"] > 10
    for name in ("process_resident_memory_bytes", "process_open_fds", 'python_gc_collections_total{generation="2"}'):
        assert found[name] > 0


async def test_a_task_that_waits_is_counted_where_it_stands_also_after_a_restart(serves: Serves) -> None:
    async with serves() as served:
        async with served.client.post("/api/v1/tasks", json={"name": "asking", "text": "hello"}) as answer:
            task = (await answer.json())["id"]
        while (await served.metrics()).get('agenthost_tasks{state="input-required"}') != 1:
            await asyncio.sleep(0.01)
    async with serves() as served:
        assert (await served.metrics())['agenthost_tasks{state="input-required"}'] == 1
        async with served.client.post(f"/api/v1/tasks/{task}/replies", json={"text": "red"}) as answer:
            assert answer.status < 300
        async with served.client.get(f"/api/v1/tasks/{task}/events") as answer:
            await answer.read()
        found = await served.metrics()
    states = {name: value for name, value in found.items() if name.startswith("agenthost_tasks{")}
    assert set(states.values()) == {0}, states
    assert found['agenthost_tasks_ended_total{name="asking",outcome="done"}'] == 1


async def test_a_stream_is_counted_while_it_is_open(serves: Serves) -> None:
    async with serves() as served:
        async with served.client.post("/api/v1/tasks", json={"name": "asking", "text": "hello"}) as answer:
            task = (await answer.json())["id"]
        async with served.client.get(f"/api/v1/tasks/{task}/events") as answer:
            await answer.content.readany()
            assert (await served.metrics())["agenthost_http_streams"] == 1
        while (await served.metrics())["agenthost_http_streams"]:
            await asyncio.sleep(0.01)


async def test_metrics_are_for_those_who_manage(serves: Serves) -> None:
    async with serves() as served:
        await served.host.accounts.put_person(Person("ann", "user", 1.0))
        await served.host.accounts.put_key(Key("k", "ann", digest_of("ah_ann"), 1.0))
        async with aiohttp.ClientSession(served.url) as anybody:
            statuses: list[int] = []
            for headers in ({}, {"Authorization": "Bearer ah_ann"}, {"Authorization": "Bearer ah_wrong"}):
                async with anybody.get("/metrics", headers=headers) as answer:
                    statuses.append(answer.status)
    assert statuses == [401, 403, 401]


async def test_a_setting_opens_them_to_this_machine_but_not_through_a_proxy(serves: Serves) -> None:
    async with serves("[telemetry]\nmetrics-open = true\n") as served:
        await served.host.accounts.put_person(Person("ann", "user", 1.0))
        await served.host.accounts.put_key(Key("k", "ann", digest_of("ah_ann"), 1.0))
        async with aiohttp.ClientSession(served.url) as anybody:
            statuses: list[int] = []
            for headers in ({}, {"X-Forwarded-For": "203.0.113.9"}, {"Authorization": "Bearer ah_ann"}):
                async with anybody.get("/metrics", headers=headers) as answer:
                    statuses.append(answer.status)
            async with anybody.get("/api/v1/info") as answer:
                statuses.append(answer.status)
    assert statuses == [200, 401, 403, 401]


async def test_whoever_wants_openmetrics_gets_it(serves: Serves) -> None:
    async with serves() as served:
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with served.client.get("/metrics", headers=wanted) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert (await answer.text()).endswith("# EOF\n")
