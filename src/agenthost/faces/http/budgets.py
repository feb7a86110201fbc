"""`/budgets`: what may be spent in a day, and what is; and the budgets that count for one task."""

from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.budgets import Limits
from agenthost.core.spending import BudgetLine, OwnBudgets
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.operations import Answer, Body, Example, Operation
from agenthost.host.budgets.desk import Desk
from agenthost.wire.bodies import BudgetBody, BudgetPage

_PLACES: dict[str, Any] = {
    "subject": Annotated[
        str,
        Meta(
            description="`host`, `namespace/NAME`, `person/NAME`, `agent/NAME`, or a kind alone: each of them",
            examples=["person/ann"],
        ),
    ]
}
_TAG = "Budgets"


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Budgets, below the API's root."""
    face = _Face(desk)
    one, subject = "/budgets/{subject:path}", {"subject": "person/ann"}
    return (
        Operation(
            "GET",
            "/budgets",
            face.all,
            "listBudgets",
            "The budgets of this day, and what is spent of them",
            _TAG,
            "read",
            answers=(Answer(200, BudgetPage, "all; one's own for who manages nothing"),),
        ),
        Operation(
            "GET",
            "/tasks/{task}/budgets",
            face.of_task,
            "listTaskBudgets",
            "Every budget that counts for a task, and what is left",
            _TAG,
            "read",
            answers=(Answer(200, BudgetPage, "its own, those above it, and those of the day"),),
        ),
        Operation(
            "PUT",
            one,
            face.put,
            "setBudget",
            "Set what a subject may spend in a day",
            _TAG,
            "manage",
            body=Body(BudgetBody),
            answers=(Answer(200, BudgetLine, "the budget as it is from now on"),),
            places=_PLACES,
            example=Example(body={"tokens": 200_000, "cost": 2.5}, places=subject),
        ),
        Operation(
            "DELETE",
            one,
            face.clear,
            "clearBudget",
            "Have a subject's budget be what settings and manifests say",
            _TAG,
            "manage",
            answers=(Answer(200, BudgetLine, "the budget as it is from now on"),),
            places=_PLACES,
            example=Example(places=subject),
        ),
    )


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _own(self, request: Request) -> OwnBudgets:
        return self._desk.of(caller_of(request), api_of(request))

    async def all(self, request: Request) -> Response:
        return answer(BudgetPage(tuple(await self._own(request).all())))

    async def of_task(self, request: Request) -> Response:
        return answer(BudgetPage(tuple(await self._own(request).of_task(str(request.path_params["task"])))))

    async def put(self, request: Request) -> Response:
        body = await read_json(request, BudgetBody)
        limits = Limits(body.turns, body.tokens, body.cost, body.duration)
        return answer(await self._own(request).set(str(request.path_params["subject"]), limits))

    async def clear(self, request: Request) -> Response:
        return answer(await self._own(request).set(str(request.path_params["subject"]), None))
