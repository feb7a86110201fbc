"""The pure minds: agent and workflow. `decide(state)` asks, `apply(state, event)` remembers.

No I/O, no clock, no randomness, no asyncio: what time it is, what was drawn and what happened
come in as events. The engine runs them; nobody else calls `decide`. They import `core` only.
"""
