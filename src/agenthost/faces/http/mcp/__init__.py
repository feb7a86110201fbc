"""MCP at `/mcp`, Streamable HTTP, revisions 2026-07-28 and 2025-11-25: agents and workflows are tools.

Only `face` and `settings` are imported from outside, and they load nothing of the official `mcp` package: everything
else here does, and is loaded with the first request. What is true of a task is in its journal; what the package keeps
in memory is how a client is talked to, and may be lost at any time.
"""
