"""MCP, driven by the real clients."""
