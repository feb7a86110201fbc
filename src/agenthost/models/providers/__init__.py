"""Any provider that pydantic-ai knows, behind `core.ports.Model`: one attempt a call, through its Model classes.

The one place that imports pydantic-ai, and only once such a provider is named. It never retries, never runs
pydantic-ai's Agent, and keeps what a provider wants back (signed thinking) as the opaque `state` of a turn.
"""
