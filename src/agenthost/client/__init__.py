"""A host's public API from Python. Knows a host only by its address or socket.

`Client` fulfils `core.api.HostApi` over HTTP; `connect` finds the host as every verb does.
"""

from agenthost.client.client import Client, address_of, connect
from agenthost.client.transport import Address, Timing

__all__ = ["Address", "Client", "Timing", "address_of", "connect"]
