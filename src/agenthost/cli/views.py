"""What has happened to a task by now, read for those who show it."""

from typing import Any

from agenthost.cli.render.view import Prices, View
from agenthost.core.api import HostApi
from agenthost.core.events import Recorded

PAGE = 1000


async def make_view(api: HostApi, root: str) -> View:
    """A view that knows prices and how often a workflow's steps may be repeated."""
    prices = {
        line.name: Prices(line.input_price, line.output_price)
        for line in await api.models()
        if line.input_price is not None and line.output_price is not None
    }
    bounds: dict[tuple[str, str], int] = {}
    for name, manifest in (await api.manifests("workflow")).items():
        spec: dict[str, Any] = manifest.get("spec") or {}
        steps: list[dict[str, Any]] = spec.get("steps") or []
        for step in steps:
            back: dict[str, Any] = step.get("onFail") or {}
            if "goto" in back:
                bounds[name, back["goto"]] = int(back.get("max", 3)) + 1
    return View(root, prices, bounds)


async def read_view(api: HostApi, task: str) -> View:
    """What the journals of a task and everything below it say by now."""
    view = await make_view(api, task)
    detail = await api.task(task)
    found: list[Recorded] = []
    for row in (detail.row, *detail.children):
        after = 0
        while page := await api.events(row.id, after, PAGE):
            found += page
            after = page[-1].seq
            if len(page) < PAGE:
                break
    for item in sorted(found, key=lambda item: (item.at, item.seq)):
        view.take(item)
    return view
