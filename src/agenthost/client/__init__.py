"""A host's public API from Python. Knows a host only by its address or socket."""
