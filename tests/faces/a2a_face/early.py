"""Run by a Python that has a2a-sdk 0.3: its client drives an agent that asks. `early.py URL BINDING TOKEN`; a line of JSON
for each thing that it saw."""

import asyncio
import json
import sys
from typing import Any

import grpc.aio
import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    DataPart,
    FilePart,
    FileWithBytes,
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationConfig,
    Role,
    Task,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TextPart,
)

url, binding, token = sys.argv[1:]


class Bearing(grpc.aio.UnaryUnaryClientInterceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def _go(self, on, details, request):
        metadata = (*(details.metadata or ()), ("authorization", f"Bearer {token}"))
        return await on(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_unary_stream = _go


class OfStreams(grpc.aio.UnaryStreamClientInterceptor):
    intercept_unary_stream = Bearing._go


class OfOnes(grpc.aio.UnaryUnaryClientInterceptor):
    intercept_unary_unary = Bearing._go


def tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")


def message(text: str, id: str, task: str | None = None, *more: Part) -> Message:
    return Message(role=Role.user, message_id=id, task_id=task, parts=[Part(root=TextPart(text=text)), *more])


async def last(events: Any) -> tuple[Task, list[str]]:
    kinds: list[str] = []
    found: Any = None
    async for event in events:
        task, update = event
        found = task
        kinds.append("task" if update is None else update.kind)
    return found, kinds


def words(task: Task) -> list[str]:
    return [part.root.text for each in task.artifacts or [] for part in each.parts if part.root.kind == "text"]


async def main() -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        tell(card=card.name, version=card.protocol_version, preferred=card.preferred_transport, url=card.url)

        def made(streaming: bool):
            return ClientFactory(
                ClientConfig(
                    streaming=streaming,
                    httpx_client=http,
                    supported_transports=[binding],
                    use_client_preference=True,
                    grpc_channel_factory=lambda at: grpc.aio.insecure_channel(at, interceptors=[OfOnes(), OfStreams()]),
                )
            ).create(card)

        plain, streaming = made(False), made(True)
        asked, _ = await last(plain.send_message(message("go", "m1")))
        tell(state=asked.status.state.value, question=asked.status.message.parts[0].root.text)
        hook = PushNotificationConfig(id="p", url="http://localhost:9/hook")
        await plain.set_task_callback(TaskPushNotificationConfig(task_id=asked.id, push_notification_config=hook))
        wanted = GetTaskPushNotificationConfigParams(id=asked.id, push_notification_config_id="p")
        tell(hook=(await plain.get_task_callback(wanted)).push_notification_config.url)

        async def follow() -> list[str]:
            return [update.kind async for _, update in streaming.resubscribe(TaskIdParams(id=asked.id)) if update]

        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            await asyncio.sleep(0.3)
            done, kinds = await last(streaming.send_message(message("blue", "m2", asked.id)))
        tell(state=done.status.state.value, kinds=sorted(set(kinds)), words=words(done))
        tell(followed=sorted(set(following.result())))
        told = await plain.get_task(TaskQueryParams(id=asked.id, history_length=2))
        tell(
            history=[each.parts[0].root.text for each in told.history or []],
            context=told.context_id == asked.context_id,
        )
        file = Part(root=FilePart(file=FileWithBytes(bytes="aGVsbG8=", mime_type="text/plain", name="a.txt")))
        data = Part(root=DataPart(data={"a": 1}))
        other, _ = await last(plain.send_message(message("go", "m3", None, file, data)))
        canceled = await plain.cancel_task(TaskIdParams(id=other.id))
        tell(canceled=canceled.status.state.value, parts=[part.root.kind for part in other.history[0].parts])
        try:
            await plain.get_task(TaskQueryParams(id="no-such-task"))
        except Exception as error:  # noqa: BLE001 - each binding has errors of its own, which the test looks at
            tell(missing=str(error))
        extended = await plain.get_card()
        tell(extended=extended.name)
        await plain.close()
        await streaming.close()


asyncio.run(main())
