"""A host's public API from Python. Knows a host only by its address or socket.

`Client` fulfils `core.api.HostApi` over HTTP; `connect` finds the host as every verb does.
"""
