"""The protocols that are served on the host's port besides its own API. Each is imported here, when it is enabled."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from agenthost.core.api import Reception
from agenthost.faces.http import metrics
from agenthost.faces.http.app import Face
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.host.host import Host


def desks(host: Host) -> Face:
    """Conversations, webhooks, grants, schedules, budgets, deletion and imports."""
    from agenthost.faces.http import budgets, conversations, erasure, grants, imports, schedules, webhooks

    kept = (*webhooks.operations(host.webhooks), *schedules.operations(host.schedules))
    given = (*grants.operations(host.grants), *budgets.operations(host.budgets))
    own = (*kept, *given, *erasure.operations(host.erasure), *imports.operations(host.importing))
    return Face(operations=own, streamed=partial(conversations.operations, host.conversing))


@asynccontextmanager
async def faces(
    host: Host, reception: Reception, streams: StreamSettings, closing: Closing
) -> AsyncGenerator[list[Face]]:
    """Those that the settings enable, with what goes on beside them, for as long as the context is open."""
    from agenthost.faces.http import agui, openai, signin

    spoken = [
        desks(host),
        metrics.face(host.telling.metrics),
        signin.face(host.entrance, host.providers),
        openai.face(streams, closing, openai.Behind(host.shelf, host.erasure, lambda: host.settings.http.upload)),
        Face(tuple(agui.routes(streams, closing)), ("/ag-ui/",)),
    ]
    async with AsyncExitStack() as stack:
        if host.settings.a2a.enabled:
            from agenthost.faces.http.a2a.routes import A2AFace, A2AParts

            own = host.settings
            parts = A2AParts(
                own.a2a, own.folder, host.pushes, host.outgoing, host.accounts, reception, closing, host.entrance.url
            )
            a2a = A2AFace(host, parts)
            await stack.enter_async_context(a2a.running())
            spoken.append(a2a.face())
        if host.settings.mcp.enabled:
            from agenthost.faces.http.mcp.face import McpFace

            spoken.append((await stack.enter_async_context(McpFace(closing, host.settings.mcp))).face())
        yield spoken
