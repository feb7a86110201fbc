"""Adapters behind the ports Store, Blobs, Workspaces and Secrets: SQLite, the in-memory twin, files on disk.

All writes of a host to SQLite go through one writer thread. Nobody above sees SQL.
"""
