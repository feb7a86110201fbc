"""Lists as OpenAI's API pages them: by the id that the last page ended with."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from agenthost.faces.http.bodies import answer, query
from agenthost.faces.http.openai.errors import wrong
from agenthost.faces.http.openai.record import Json


def listed(page: Sequence[Json], more: bool) -> Response:
    """A page."""
    return answer(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": more,
        }
    )


def newest_first(request: Request) -> bool:
    """The order that a request wants. Raises Refused."""
    order = query(request, "order", str, "desc")
    if order not in ("asc", "desc"):
        raise wrong("order", f"'{order[:40]}' is none of asc, desc.")
    return order == "desc"


def limit_of(request: Request, usual: int, most: int) -> int:
    """How many a page may have. Raises Refused."""
    limit = query(request, "limit", int, usual)
    if not 1 <= limit <= most:
        raise wrong("limit", f"{limit} is not between 1 and {most:,}.")
    return limit


def paged(request: Request, items: list[Json]) -> Response:
    """The page of `items`, the oldest first, that a request wants."""
    if newest_first(request):
        items = items[::-1]
    after, limit = query(request, "after", str, ""), limit_of(request, 20, 100)
    start = next((at + 1 for at, item in enumerate(items) if item["id"] == after), 0)
    return listed(items[start : start + limit], start + limit < len(items))
