"""Finds a request's route without trying them all."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Router
from starlette.types import Receive, Scope, Send

_DEEP = 3
"""Segments of a path by which routes are told apart: `/api/v1/tasks`, `/v1/responses`."""


class Switchboard(Router):
    """As Starlette's router, which tries one route after another: of ours, only those are tried whose first segments are the
    path's. What none of them takes goes the usual way."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        super().__init__(routes)
        keys = {place: _key(getattr(route, "path", "{")) for place, route in enumerate(routes)}
        self._by: dict[tuple[str, ...], list[BaseRoute]] = {
            key: [route for place, route in enumerate(routes) if _may(keys[place], key)] for key in {*keys.values()}
        }

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            path = tuple(scope["path"].split("/")[1 : _DEEP + 1])
            for length in range(len(path), 0, -1):
                if (candidates := self._by.get(path[:length])) is not None:
                    for route in candidates:
                        match, child = route.matches(scope)
                        if match is Match.FULL:
                            scope["route"] = route
                            scope.update(child)
                            await route.handle(scope, receive, send)
                            return
                    break
        await super().app(scope, receive, send)


def _key(path: str) -> tuple[str, ...]:
    """The first segments that hold no parameter."""
    found: list[str] = []
    for segment in path.split("/")[1 : _DEEP + 1]:
        if "{" in segment:
            break
        found.append(segment)
    return tuple(found)


def _may(route: tuple[str, ...], key: tuple[str, ...]) -> bool:
    """Whether a path that begins with `key` may be the route's."""
    return key[: len(route)] == route
