"""The store on one SQLite file: journals, tasks, inboxes, ledger, file lists and manifests.

Used by the host through the port `core.ports.Store`. One thread writes, in groups, and one reads;
nothing else opens the file while a host holds its home, but a back-up, which only reads.
"""

from agenthost.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
