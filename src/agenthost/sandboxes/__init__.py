"""Adapters behind the port `core.ports.Sandbox`: `bubblewrap`.

Code runs only here. A sandbox denies what its policy doesn't grant, and where it can't be had it
says how to get it; it never runs anything without.
"""
