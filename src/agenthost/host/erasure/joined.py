"""Joins what takes away, from settings."""

import asyncio
import os

from agenthost.engine.parts import Log
from agenthost.host.adapters import Adapters
from agenthost.host.entry.entrance import Entrance
from agenthost.host.erasure.desk import Desk, Ends
from agenthost.host.erasure.eraser import Eraser
from agenthost.host.erasure.keeper import Keeper
from agenthost.host.settings import Settings
from agenthost.host.webhooks.desk import Desk as WebhookDesk


def joined(
    host: Ends, settings: Settings, adapters: Adapters, webhooks: WebhookDesk, entrance: Entrance, log: Log
) -> tuple[Keeper, Desk]:
    """Who sweeps, and where deletion is asked for."""
    parts = adapters
    eraser = Eraser(
        parts.erasure,
        parts.store,
        parts.blobs,
        parts.workspaces,
        parts.webhooks,
        webhooks.forget,
        log,
        host.evidence_files,
    )

    async def folders() -> list[tuple[str, float]]:
        return await asyncio.to_thread(_folders, str(settings.folder / "workspaces"))

    keeper = Keeper(parts.erasure, eraser, parts.store, parts.workspaces, folders, settings.retention, log)
    return keeper, Desk(host, eraser, parts.erasure, parts.store, entrance, parts.webhooks)


def _folders(root: str) -> list[tuple[str, float]]:
    """The workspaces that have a folder whose name is their id, and when that was changed."""
    try:
        with os.scandir(root) as entries:
            found = [entry for entry in entries if entry.is_dir(follow_symlinks=False) and "%" not in entry.name]
            return [(entry.name, entry.stat(follow_symlinks=False).st_mtime) for entry in found]
    except FileNotFoundError:
        return []
