"""What can be set about MCP."""

import msgspec
from msgspec import Struct


class McpSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """MCP at `/mcp`, `[mcp]`. `servers`: MCP servers of your own whose tools, resources and prompts are served beside
    the agents, name to `module:attribute` (an `MCPServer` of the package `mcp`)."""

    enabled: bool = True
    servers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
