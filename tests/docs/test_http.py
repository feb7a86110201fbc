"""docs/http.md names every route, every kind of error and every event of a stream, and nothing else."""

import re
from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route

from agenthost.faces.http import metrics
from agenthost.faces.http.app import routes
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.wire import sse
from agenthost.wire.problems import STATUS

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def paths(served: list[BaseRoute], above: str = "") -> set[str]:
    found: set[str] = set()
    for route in served:
        if isinstance(route, Mount):
            found |= paths(list(route.routes), above + route.path)
        else:
            assert isinstance(route, Route)
            found |= {
                f"{method} {above}{route.path.replace(':path}', '}')}" for method in (route.methods or set()) - {"HEAD"}
            }
    return found


def test_every_route_is_documented_and_every_documented_one_is_there() -> None:
    async def expose(accept: str) -> tuple[bytes, str]:
        return b"", ""

    served = paths(routes(Closing(), StreamSettings())) | paths(metrics.routes(expose))
    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", PAGE, re.MULTILINE)) == served


def test_every_kind_of_error_is_documented_with_its_status() -> None:
    told: dict[str, int] = {}
    for kinds, status in re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (\d{3})", PAGE, re.MULTILINE):
        told |= {kind: int(status) for kind in re.findall(r"`([a-z-]+)`", kinds)}
    assert told == {cls.code: status for cls, status in STATUS.items()}


def test_every_event_of_a_stream_is_documented() -> None:
    for event in (sse.RECORDED, sse.DELTA, sse.LINE, sse.FITNESS, sse.PROBLEM, sse.END):
        assert f"| `{event}` |" in PAGE
