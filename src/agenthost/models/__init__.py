"""Adapters behind the port `core.ports.Model`: `openai` (both wires, over aiohttp) and `scripted`.

An adapter makes one attempt and maps what went wrong to Temporary or Permanent; calling again is
the engine's business. Adapters don't import each other's wires and know nothing of tasks.
"""
