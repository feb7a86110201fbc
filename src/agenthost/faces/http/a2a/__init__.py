"""A2A 1.0, and 0.3 for clients that speak that: agents and workflows for other agents, by JSON-RPC, HTTP+JSON and gRPC.

The wire is the official SDK's (`a2a-sdk`), loaded with the first request. What a task is, the journal says: this
package keeps nothing but the addresses for push notifications, and those in the host's own tables.
"""
