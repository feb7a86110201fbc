"""What an agent can do, in AG-UI's words (spec, "Capabilities"): only what holds is declared."""

from typing import Any

from ag_ui.core import (
    AgentCapabilities,
    HumanInTheLoopCapabilities,
    IdentityCapabilities,
    MultiAgentCapabilities,
    MultimodalCapabilities,
    MultimodalInputCapabilities,
    ReasoningCapabilities,
    StateCapabilities,
    SubagentInfo,
    ToolsCapabilities,
    TransportCapabilities,
)
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.errors import NotFound, nearest
from agenthost.faces.http.callers import api_of


async def describe(request: Request) -> Response:
    """The capabilities of an agent or a workflow. Raises NotFound."""
    api, name = api_of(request), str(request.path_params["agent"])
    agents, workflows = await api.manifests("agent"), await api.manifests("workflow")
    manifest = agents.get(name) or workflows.get(name)
    if manifest is None:
        raise NotFound(f"there is no agent or workflow '{name}'. {nearest(name, [*agents, *workflows])}")
    version = (await api.info()).version
    told = _capabilities(name, manifest, name in workflows, version)
    return Response(told.model_dump_json(by_alias=True), media_type="application/json")


def _capabilities(name: str, manifest: dict[str, Any], workflow: bool, version: str) -> AgentCapabilities:
    spec: dict[str, Any] = manifest.get("spec") or {}
    roles: dict[str, dict[str, Any]] = spec.get("roles") or {}
    below = {str(role.get("agent", "")) for role in roles.values()}
    below |= {tool.partition(":")[2] for tool in spec.get("tools") or () if str(tool).startswith("delegate:")}
    return AgentCapabilities(
        identity=IdentityCapabilities(
            name=name, type="agenthost", description=spec.get("description") or None, version=version
        ),
        transport=TransportCapabilities(streaming=True),
        tools=ToolsCapabilities(supported=True, client_provided=not workflow),
        state=StateCapabilities(snapshots=True, deltas=True),
        multi_agent=MultiAgentCapabilities(
            supported=bool(below), subagents=[SubagentInfo(name=each) for each in sorted(below - {""})]
        ),
        reasoning=ReasoningCapabilities(supported=True, streaming=True, encrypted=False),
        multimodal=MultimodalCapabilities(input=MultimodalInputCapabilities(image=True)),
        human_in_the_loop=HumanInTheLoopCapabilities(supported=True, approvals=True, interrupts=True),
    )
