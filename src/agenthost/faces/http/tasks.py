"""Tasks: started, listed, looked at, told, answered, cancelled, exported, decided again."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.api import Order
from agenthost.core.lifecycle import State
from agenthost.core.parts import Message
from agenthost.core.ports import Filter
from agenthost.faces.http.bodies import answer, edge, query, query_all, read_json
from agenthost.faces.http.callers import about, api_of
from agenthost.wire.bodies import CancelBody, Found, ReplyBody, TaskPage

MOST_LISTED = 1000
"""Tasks or events in one page."""


class Tasks:
    """The handlers of `/tasks`."""

    async def start(self, request: Request) -> Response:
        order = await read_json(request, Order)
        key = request.headers.get("idempotency-key", "")
        if key and not order.key:
            order = msgspec.structs.replace(order, key=key)
        row = await api_of(request).start(order)
        about(request, row.id)
        return answer(row, 201)

    async def list(self, request: Request) -> Response:
        limit = max(1, min(MOST_LISTED, query(request, "limit", int, 50)))
        wanted = Filter(
            namespace=query(request, "namespace", str, "default"),
            states=query_all(request, "state", State),
            root=query(request, "root", str, ""),
            roots_only=query(request, "roots_only", bool, False),
            name=query(request, "name", str, ""),
            before=query(request, "before", str, ""),
            limit=limit,
        )
        rows = await api_of(request).tasks(wanted)
        return answer(TaskPage(tuple(rows), rows[-1].id if len(rows) >= limit else ""))

    async def find(self, request: Request) -> Response:
        return answer(Found(await api_of(request).find(query(request, "prefix", str, ""))))

    async def show(self, request: Request) -> Response:
        return answer(await api_of(request).task(_task(request)))

    async def journal(self, request: Request) -> Response:
        limit = max(1, min(MOST_LISTED, query(request, "limit", int, MOST_LISTED)))
        return answer(await api_of(request).events(_task(request), query(request, "after", int, 0), limit))

    async def say(self, request: Request) -> Response:
        await api_of(request).say(_task(request), await read_json(request, Message))
        return Response(status_code=202)

    async def reply(self, request: Request) -> Response:
        body = await read_json(request, ReplyBody)
        return answer(await api_of(request).reply(_task(request), body.text, body.question, body.by))

    async def cancel(self, request: Request) -> Response:
        body = await read_json(request, CancelBody)
        await api_of(request).cancel(_task(request), body.by, body.reason)
        return Response(status_code=202)

    async def artifacts(self, request: Request) -> Response:
        return answer(await api_of(request).artifacts(_task(request)))

    async def ledger(self, request: Request) -> Response:
        return answer(await api_of(request).ledger(_task(request)))

    async def export(self, request: Request) -> Response:
        return Response(await api_of(request).export(_task(request)), media_type="application/zip")

    async def replay(self, request: Request) -> Response:
        return answer(await api_of(request).replay(_task(request)))


def routes() -> list[BaseRoute]:
    """The routes of tasks, below the API's root."""
    tasks = Tasks()
    one = "/tasks/{task}"
    return [
        Route("/tasks", edge(tasks.start), methods=["POST"]),
        Route("/tasks", edge(tasks.list), methods=["GET"]),
        Route("/find", edge(tasks.find), methods=["GET"]),
        Route(one, edge(tasks.show), methods=["GET"]),
        Route(f"{one}/journal", edge(tasks.journal), methods=["GET"]),
        Route(f"{one}/messages", edge(tasks.say), methods=["POST"]),
        Route(f"{one}/replies", edge(tasks.reply), methods=["POST"]),
        Route(f"{one}/cancel", edge(tasks.cancel), methods=["POST"]),
        Route(f"{one}/artifacts", edge(tasks.artifacts), methods=["GET"]),
        Route(f"{one}/ledger", edge(tasks.ledger), methods=["GET"]),
        Route(f"{one}/export", edge(tasks.export), methods=["GET"]),
        Route(f"{one}/replay", edge(tasks.replay), methods=["POST"]),
    ]


def _task(request: Request) -> str:
    return str(request.path_params["task"])
