"""Use-cases that are about many tasks or none: what happened everywhere, messages that find their task, earlier manifests,
settings that change while the host runs."""

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import msgspec

from agenthost.core.access import OWNER, Deed, DeedFilter, Person
from agenthost.core.api import (
    Applied,
    HostApi,
    Incoming,
    Linked,
    ManifestProblem,
    ManifestVersion,
    News,
    Order,
    Placed,
    SettingLine,
)
from agenthost.core.errors import AgentHostError, BadInput, Conflict, NotFound, Temporary, Unusable, nearest
from agenthost.core.events import Recorded
from agenthost.core.keeping import Keeping, PlacedEvent, UsageFilter, UsageLine, Version
from agenthost.core.lifecycle import State
from agenthost.core.media import FileLimits, check_file
from agenthost.core.parts import FilePart, Message, Part, TextPart
from agenthost.core.ports import Store
from agenthost.core.tasks import Filter
from agenthost.engine.bus import Bus
from agenthost.engine.engine import Engine
from agenthost.host import links
from agenthost.host.adapters import Adapters
from agenthost.host.library import NAMESPACE, Library, version_of
from agenthost.host.settings import HttpSettings, Settings

GOING: tuple[State, ...] = ("submitted", "working", "input-required", "auth-required")

CHANGEABLE: dict[str, tuple[str, str]] = {
    "files.size": ("files", "size"),
    "files.pixels": ("files", "pixels"),
    "files.side": ("files", "side"),
    "http.rate": ("http", "rate"),
    "http.requests": ("http", "requests"),
    "http.streams": ("http", "streams"),
    "http.upload": ("http", "upload"),
}
"""The settings that may change while the host runs: name to table and key."""


async def place(api: HostApi, came: Incoming) -> Placed:
    """Give a message of no conversation to its task by what `api` lets one do. Raises NotFound where there is nobody for it."""
    if came.edits or came.deleted or came.forwarded:
        raise Unusable(
            "`edits`, `deleted` and `forwarded` are for messages of a conversation; say of which, as `conversation`"
        )
    if not came.task:
        if not came.name:
            raise NotFound(
                "no task waits for this message; give a `task`, or the `name` of an agent that is to take it"
            )
        order = Order(came.name, came.text, came.files, key=came.key)
        return Placed(await api.start(order), "order")
    detail = await api.task(came.task)
    if came.question or (detail.questions and came.text and not came.files):
        await api.reply(came.task, came.text, came.question, via="message")
        return Placed((await api.task(came.task)).row, "answer")
    parts: tuple[Part, ...] = (*((TextPart(came.text),) if came.text else ()), *came.files)
    await api.say(came.task, Message("person", parts, f"message:{came.key}" if came.key else ""))
    return Placed((await api.task(came.task)).row, "message")


# --- what happened everywhere ---

Decode = Callable[[PlacedEvent], Awaitable[Recorded]]


async def news(keeping: Keeping, decode: Decode, after: int, limit: int, person: str, namespace: str) -> News:
    """A page of everybody's events."""
    found, place = await keeping.placed(after, namespace, person, limit)
    if place == after:
        await _need_past(keeping, after)
    return News(tuple([item async for item in _read(found, decode)]), place)


async def _need_past(keeping: Keeping, after: int) -> None:
    """Raise Unusable for a place that is yet to come: who waits there would miss everything up to it."""
    if after > (newest := await keeping.newest()):
        raise Unusable(
            f"there was no event {after} yet, the last one is {newest} (perhaps a back-up was put back); begin without a "
            "cursor"
        )


async def _read(found: list[PlacedEvent], decode: Decode) -> AsyncIterator[tuple[int, Recorded]]:
    """Those that can be read: one that can't be stops its own task, and nobody who follows everything."""
    for each in found:
        try:
            recorded = await decode(each)
        except Temporary:
            raise
        except AgentHostError:
            continue
        yield each.place, recorded


async def watch(
    keeping: Keeping, bus: Bus, decode: Decode, after: int | None, person: str, namespace: str
) -> AsyncIterator[tuple[int, Recorded]]:
    """Everybody's events, for ever. Nothing waits here for a slow follower: it reads the journal when it comes."""
    more = asyncio.Event()
    bus.watchers.add(more)
    try:
        place = await keeping.newest() if after is None else after
        await _need_past(keeping, place)
        while True:
            more.clear()
            found, reached = await keeping.placed(place, namespace, person)
            async for item in _read(found, decode):
                yield item
            if reached == place:
                await more.wait()
            place = reached
    finally:
        bus.watchers.discard(more)


async def cancel_all(api: HostApi, store: Store, person: Person, by: str, reason: str) -> None:
    """Cancel every unfinished task of somebody."""
    before = ""
    while True:
        wanted = Filter(person.namespace, GOING, roots_only=True, person=person.id, before=before, limit=500)
        rows = await store.tasks(wanted)
        for row in rows:
            with suppress(BadInput):  # it has ended meanwhile
                await api.cancel(row.id, by, reason)
        if len(rows) < wanted.limit:
            return
        before = rows[-1].id


class Desk:
    """The use-cases of a host that are no task's: files, manifests one by one, what was used and done, settings."""

    engine: Engine

    def __init__(self, adapters: Adapters, library: Library, given: Settings) -> None:
        self._given = given
        self.settings = given
        self._adapters = adapters
        self.library = library

    async def take_changes(self) -> None:
        """Take the settings that were changed while the host ran last."""
        self.settings = changed(self._given, await self._adapters.keeping.changed())

    @property
    def keeping(self) -> Keeping:
        """What is kept beside journals."""
        return self._adapters.keeping

    async def news(self, after: int, limit: int = 500, person: str = "", namespace: str = "default") -> News:
        """A page of every task's events."""
        return await news(self._adapters.keeping, self._decoded, after, limit, person, namespace)

    def watch(
        self, after: int | None = None, person: str = "", namespace: str = "default"
    ) -> AsyncIterator[tuple[int, Recorded]]:
        """Every task's events, for ever."""
        bus = self.engine.services.bus
        return watch(self._adapters.keeping, bus, self._decoded, after, person, namespace)

    async def _decoded(self, placed: PlacedEvent) -> Recorded:
        return await self.engine.services.codec.decode(placed.task, placed.event)

    # --- files ---

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        """Keep a file that somebody gave."""
        # A workspace's file comes with its type, and may be empty or not what its name says.
        found = media_type or check_file(name, content, (), self.settings.files).media_type
        return FilePart(await self._adapters.blobs.put(content), found, len(content), name)

    async def take_file(self, name: str, pieces: AsyncIterable[bytes], media_type: str = "") -> FilePart:
        """Keep a file as it comes, however large."""
        blobs, limits = self._adapters.blobs, self.settings.files
        digest, size = await blobs.put_stream(pieces)
        if not media_type:
            content = await blobs.read(digest, 0, min(size, limits.size))
            media_type = check_file(name, content, (), limits, size).media_type
        return FilePart(digest, media_type, size, name)

    async def get_file(self, digest: str) -> bytes:
        """A file by content hash."""
        return await self._adapters.blobs.get(digest)

    async def file_size(self, digest: str) -> int:
        """A file's size in bytes."""
        return await self._adapters.blobs.size(digest)

    async def read_file(self, digest: str, start: int, length: int) -> bytes:
        """A part of a file."""
        return await self._adapters.blobs.read(digest, start, length)

    async def link(self, file: Linked) -> str:
        """A secret by which anybody may read a file for a while."""
        await self._adapters.blobs.size(file.digest)
        return links.sign(await self._link_key(), file)

    async def linked(self, secret: str) -> Linked:
        """What a link's secret opens. Raises NotFound."""
        return links.read(await self._link_key(), secret)

    async def _link_key(self) -> bytes:
        return await asyncio.to_thread(links.link_key, self.settings.folder)

    # --- manifests, one by one ---

    async def manifest(self, kind: str, name: str) -> ManifestVersion:
        """A manifest as it is."""
        self.library.manifest(kind, name)
        return (await self.versions(kind, name, limit=1))[0]

    async def put_manifest(
        self, kind: str, name: str, text: str, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take the manifest of that name."""
        return await self.library.put(kind, name, text, time.time(), expected, by)

    async def versions(self, kind: str, name: str, before: int = 0, limit: int = 50) -> list[ManifestVersion]:
        """How a manifest was, newest first."""
        found = await self._adapters.keeping.versions(kind, name, NAMESPACE, before, limit)
        if not found and not before:
            self.library.manifest(kind, name)
        return [as_told(version, kind) for version in found]

    async def roll_back(
        self, kind: str, name: str, number: int, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Apply an earlier version again."""
        found = await self.versions(kind, name, number + 1, 1)
        if not found or found[0].number != number:
            raise NotFound(f"the {kind} '{name}' has no version {number}")
        if found[0].manifest is None:
            raise Conflict(
                f"the {kind} '{name}' was deleted with version {number}; go back to an earlier one, or delete it"
            )
        return await self.put_manifest(kind, name, json.dumps(_unsigned(found[0].manifest)), expected, by)

    # --- what was used and done, settings ---

    async def count_tasks(self, wanted: Filter) -> int:
        """How many there are in all."""
        return await self._adapters.store.count_tasks(wanted)

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        """What was used."""
        return await self._adapters.keeping.usage(wanted)

    async def audit(self, wanted: DeedFilter) -> list[Deed]:
        """Lines of the audit log."""
        return await self._adapters.accounts.deeds(wanted)

    async def changeable(self) -> list[SettingLine]:
        """The settings that may change while the host runs."""
        return lines(self.settings, self._given)

    async def change(self, values: dict[str, float | None]) -> list[SettingLine]:
        """Change settings from now on."""
        await self._adapters.keeping.change(read_changes(self._given, values))
        self.settings = changed(self._given, await self._adapters.keeping.changed())
        return lines(self.settings, self._given)


# --- earlier manifests ---


def _unsigned(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without who applied it then: it is applied again, by somebody else perhaps."""
    spec = cast("dict[str, Any]", manifest.get("spec", {}))
    if manifest["kind"] != "Schedule":
        return manifest
    return manifest | {"spec": {key: value for key, value in spec.items() if key != "person"}}


def as_told(version: Version, kind: str) -> ManifestVersion:
    """A version as it is shown; its kind and apiVersion as they would be written."""
    if not version.body:
        return ManifestVersion(version.number, version.at, "")
    body: dict[str, Any] = json.loads(version.body)
    manifest = {"apiVersion": "agenthost.dev/v1alpha1", "kind": kind.capitalize()} | body
    return ManifestVersion(version.number, version.at, version_of(manifest), manifest)


# --- settings ---


def lines(now: Settings, given: Settings) -> list[SettingLine]:
    """The settings that may change, as they are and as the file says."""
    return [SettingLine(name, _get(now, name), _get(given, name)) for name in CHANGEABLE]


def _get(settings: Settings, name: str) -> float:
    table, key = CHANGEABLE[name]
    return getattr(getattr(settings, table), key)


def changed(given: Settings, values: dict[str, bytes]) -> Settings:
    """Settings with changes; those that are unknown (by now) or can't be are left as the file says."""
    settings = given
    for name, value in values.items():
        if name in CHANGEABLE:
            try:
                settings = _with(settings, name, msgspec.json.decode(value, type=float))
            except (BadInput, msgspec.DecodeError):
                continue
    return settings


def read_changes(given: Settings, values: dict[str, float | None]) -> dict[str, bytes | None]:
    """Changes as they are kept. Raises BadInput naming the setting that is wrong."""
    for name, value in values.items():
        if name not in CHANGEABLE:
            raise BadInput(
                f"'{name}' can't change while the host runs, or isn't a setting. {nearest(name, list(CHANGEABLE))}"
            )
        if value is not None:
            _with(given, name, value)
    return {name: None if value is None else msgspec.json.encode(value) for name, value in values.items()}


def _with(settings: Settings, name: str, value: float) -> Settings:
    table, key = CHANGEABLE[name]
    before: FileLimits | HttpSettings = settings.files if table == "files" else settings.http
    whole = msgspec.to_builtins(before) | {key: int(value) if float(value).is_integer() else value}
    try:
        made = msgspec.convert(whole, type(before))
    except msgspec.ValidationError as error:
        raise BadInput(f"'{name}' can't be {value}: {error}") from error
    return msgspec.structs.replace(settings, **{table: made})
