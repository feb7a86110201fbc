"""Traces of a real host, as a real OTLP receiver decodes them."""

from tests.telemetry.conftest import Serves
from tests.telemetry.receiver import receiving

CAUSE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_task_is_one_trace_of_its_steps_calls_runs_and_children(serves: Serves) -> None:
    async with receiving() as receiver:
        async with serves(f'[telemetry]\nendpoint = "{receiver.url}"\n') as served:
            task = await served.done("family", traceparent=CAUSE)
            async with served.client.get(f"/api/v1/tasks/{task}") as answer:
                trace = (await answer.json())["trace"]
    for s in receiver.spans:
        print(s.name, s.id, s.parent, s.attributes, s.links, s.status)
    print(receiver.metrics, receiver.headers[0])
    assert {span.trace for span in receiver.spans} == {trace}
    assert 0
