"""Agents elsewhere as agents of ours: `a2a:SECRET@URL` is a model whose answers a remote A2A agent makes.

A remote task is an answer that is made in the background (`core.ports.Resumable`): its id is journalled before it is
waited for. What it asks becomes the question of a call, its files come by a call, so that the loop needs to know nothing
of A2A. The official SDK is loaded when the first such agent is named. Nothing here opens a connection by itself: `connect`
is given, and says where one may go.
"""
