"""`Client`: the use-cases of a host over HTTP."""

import io
import os
import sys
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from agenthost.client.administering import RemoteAdministration
from agenthost.client.calling import RemoteBudgets, RemoteDeletion, RemoteGrants, RemoteImporting, RemoteWebhooks
from agenthost.client.conversing import RemoteConversations
from agenthost.client.following import Follower, Watcher
from agenthost.client.offering import RemoteAbilities
from agenthost.client.probing import probing
from agenthost.client.scheduling import RemoteSchedules
from agenthost.client.transport import Address, Broken, Timing, Transport, path_of
from agenthost.core.access import OWNER, Deed, DeedFilter
from agenthost.core.api import (
    Applied,
    Artifact,
    Finding,
    Health,
    HostApi,
    HostInfo,
    Incoming,
    Linked,
    LiveDelta,
    ManifestProblem,
    ManifestVersion,
    ModelDetail,
    ModelLine,
    News,
    OpenQuestion,
    Order,
    Placed,
    SettingLine,
    TaskDetail,
)
from agenthost.core.errors import BadInput, Conflict, NotFound
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.grants import Always
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.models import Fitness
from agenthost.core.parts import FilePart, Message
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.core.replaying import Contrast, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.tasks import TaskRow
from agenthost.wire.bodies import (
    AppliedBody,
    ApplyBody,
    CancelBody,
    DeedPage,
    EventPage,
    Found,
    Link,
    LinkBody,
    ManifestsBody,
    Names,
    ProbeBody,
    ReplyBody,
    SecretBody,
    TaskPage,
    VersionPage,
    encode,
)
from agenthost.wire.cursors import decode_number, encode_change, encode_cursor

T = TypeVar("T")

SOCKET_NAME = "host.sock"
_FILTERS = ("root", "name", "person", "conversation", "text", "since", "until", "changed_since", "order")


def _asked(wanted: Filter) -> list[tuple[str, str]]:
    """A listing's filters as parameters."""
    query: list[tuple[str, str]] = [("state", state) for state in wanted.states]
    query += [(name, str(getattr(wanted, name))) for name in _FILTERS if getattr(wanted, name)]
    return [*query, ("roots_only", str(wanted.roots_only).lower())]


def _of_kind(kind: str) -> tuple[str, ...]:
    """Where the manifests of a kind are: what `/schedules` has isn't what manifests say alone."""
    return ("manifests", kind) if kind == "schedule" else (f"{kind}s",)


def _expecting(version: str | None) -> dict[str, str]:
    """The header by which a change is made to that version alone."""
    if version is None:
        return {}
    return {"If-Match": f'"{version}"' if version != "*" else "*"} if version else {"If-None-Match": "*"}


def address_of(home: Path | None = None, environ: Mapping[str, str] = os.environ) -> Address:
    """Where the host is that a command means: AGENTHOST_URL's (with AGENTHOST_TOKEN), else the one that holds `home` (else AGENTHOST_HOME). Raises BadInput
    where nothing says which."""
    url = environ.get("AGENTHOST_URL", "").strip()
    if not url:
        place = home or Path(environ.get("AGENTHOST_HOME", "").strip() or "/")
        if place == Path("/"):
            raise BadInput("nothing says where the host is; set AGENTHOST_URL and AGENTHOST_TOKEN, or AGENTHOST_HOME")
        return Address(socket=place / SOCKET_NAME)
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"AGENTHOST_URL is no address: '{url}'. Give one such as http://127.0.0.1:8484")
    return Address(url=url, token=environ.get("AGENTHOST_TOKEN", "").strip())


def connect(
    home: Path | None = None, environ: Mapping[str, str] = os.environ, timing: Timing | None = None
) -> "Client":
    """The client for the host that a command means (`address_of`). Nothing is sent yet; `info` says whether it is there. Raises BadInput where nothing says which."""
    return Client(address_of(home, environ), timing)


class Client(HostApi):
    """A host at an address. What the host raises is raised here again, with class, code and details;
    where it can't be reached, HostUnreachable. Close it when done (`async with` does)."""

    def __init__(self, address: Address, timing: Timing | None = None) -> None:
        self._transport = Transport(address, timing or Timing())

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    def admin(self) -> RemoteAdministration:
        """People and keys of the host, as whoever has the token may look after them."""
        return RemoteAdministration(self._transport)

    def budgets(self) -> RemoteBudgets:
        """The budgets that bound whoever has the token and, where they manage the host, everybody's."""
        return RemoteBudgets(self._transport)

    def webhooks(self) -> RemoteWebhooks:
        """The webhooks of whoever has the token: whom they want called when their tasks end or ask."""
        return RemoteWebhooks(self._transport)

    def grants(self) -> RemoteGrants:
        """Approvals that were given for good, as whoever has the token may look after them."""
        return RemoteGrants(self._transport)

    def conversations(self) -> RemoteConversations:
        """The conversations of whoever has the token: what was said, and for which task."""
        return RemoteConversations(self._transport)

    def schedules(self) -> RemoteSchedules:
        """The schedules that whoever has the token sees: what is run when."""
        return RemoteSchedules(self._transport)

    def importing(self) -> RemoteImporting:
        """Tasks that were done elsewhere, taken in from their exports."""
        return RemoteImporting(self._transport)

    def deletion(self) -> RemoteDeletion:
        """Deletion for good: of a task, of all of a person's, of a namespace."""
        return RemoteDeletion(self._transport)

    # --- the host ---

    async def info(self) -> HostInfo:
        return await self._get(HostInfo, "info")

    async def doctor(self) -> list[Finding]:
        return await self._get(list[Finding], "doctor")

    async def health(self) -> Health:
        return await self._get(Health, "health")

    async def models(self, provider: str = "") -> list[ModelLine]:
        return await self._get(list[ModelLine], "models", query={"provider": provider} if provider else None)

    async def model(self, name: str) -> ModelDetail:
        return await self._get(ModelDetail, "models", name)

    async def abilities(self, name: str, person: str = "", namespace: str = "") -> RemoteAbilities:
        return RemoteAbilities(self._transport, name, (await self.model(name)).claimed)

    async def probe(
        self, name: str, quick: bool = False, context: int = 0, person: str = "", namespace: str = ""
    ) -> AsyncIterator[str | Fitness]:
        async for item in probing(self._transport, name, ProbeBody(quick, context or None)):
            yield item

    async def set_secret(self, name: str, value: str) -> None:
        await self._send("PUT", path_of("secrets", name), SecretBody(value))

    async def secrets(self) -> list[str]:
        return list((await self._get(Names, "secrets")).names)

    # --- files and manifests ---

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        path = path_of("files") + "?" + urlencode({"name": name, "media_type": media_type})
        # The host refuses what is too large by its length, before a byte of it is sent.
        body = await self._transport.call("POST", path, data=io.BytesIO(content), expect100=bool(content))
        return self._read(body, FilePart)

    async def take_file(self, name: str, pieces: AsyncIterable[bytes], media_type: str = "") -> FilePart:
        path = path_of("files") + "?" + urlencode({"name": name, "media_type": media_type})
        headers = {"Content-Type": "application/octet-stream"}
        return self._read(await self._transport.call("POST", path, data=aiter(pieces), headers=headers), FilePart)

    async def file_size(self, digest: str) -> int:
        return await self._transport.length(path_of("files", digest))

    async def read_file(self, digest: str, start: int, length: int) -> bytes:
        size = await self.file_size(digest)
        if length <= 0 or start >= size:
            return b""
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        return await self._transport.call("GET", path_of("files", digest), headers=headers)

    async def link(self, file: Linked) -> str:
        body = LinkBody(max(1, round(file.until - time.time())), file.name)
        made = self._read(await self._send("POST", path_of("files", file.digest, "links"), body), Link)
        return made.path.rpartition("/")[2]

    async def get_file(self, digest: str) -> bytes:
        return await self._transport.call("GET", path_of("files", digest))

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        body = self._read(await self._send("POST", path_of("manifests"), ApplyBody(texts, dry_run)), AppliedBody)
        return list(body.applied), list(body.problems)

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        return (await self._get(ManifestsBody, "manifests", kind)).items

    async def delete(self, kind: str, name: str, expected: str | None = None) -> None:
        await self._transport.call("DELETE", path_of("manifests", kind, name), headers=_expecting(expected))

    async def manifest(self, kind: str, name: str) -> ManifestVersion:
        return (await self.versions(kind, name, limit=1))[0]

    async def put_manifest(
        self, kind: str, name: str, text: str, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        headers = {"Content-Type": "application/yaml"} | _expecting(expected)
        return await self._applied("PUT", path_of(*_of_kind(kind), name), data=text.encode(), headers=headers)

    async def versions(self, kind: str, name: str, before: int = 0, limit: int = 50) -> list[ManifestVersion]:
        query = {"cursor": encode_cursor(before), "limit": min(limit, 1000)}
        return list((await self._get(VersionPage, *_of_kind(kind), name, "versions", query=query)).items)

    async def roll_back(
        self, kind: str, name: str, number: int, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        path = path_of(*_of_kind(kind), name, "versions", str(number), "restore")
        return await self._applied("POST", path, headers=_expecting(expected))

    async def _applied(self, method: str, path: str, **options: Any) -> tuple[list[Applied], list[ManifestProblem]]:
        try:
            return [self._read(await self._transport.call(method, path, **options), Applied)], []
        except Conflict as error:
            if "problems" not in error.details:
                raise
            return [], msgspec.convert(error.details["problems"], list[ManifestProblem])

    # --- what was used and done, settings ---

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        query: list[tuple[str, Any]] = [("by", name) for name in wanted.by]
        named = ("task", "agent", "person", "model", "since", "until", "limit")
        query += [(name, getattr(wanted, name)) for name in named if getattr(wanted, name)]
        return await self._get(list[UsageLine], "usage", query=query)

    async def audit(self, wanted: DeedFilter) -> list[Deed]:
        named = {name: getattr(wanted, name) for name in ("person", "what", "thing") if getattr(wanted, name)}
        query = named | {"cursor": encode_cursor(wanted.before), "limit": min(wanted.limit, 1000)}
        return list((await self._get(DeedPage, "audit", query=query)).items)

    async def changeable(self) -> list[SettingLine]:
        return await self._get(list[SettingLine], "settings")

    async def change(self, values: dict[str, float | None]) -> list[SettingLine]:
        told = {
            name: int(value) if value is not None and float(value).is_integer() else value
            for name, value in values.items()
        }
        return self._read(await self._send("PATCH", path_of("settings"), told), list[SettingLine])

    # --- tasks ---

    async def start(self, order: Order) -> TaskRow:
        # With a key the same work starts once, so that it may be asked for again over a new connection.
        keyed = order if order.key else msgspec.structs.replace(order, key=uuid.uuid4().hex)
        try:
            body = await self._send("POST", path_of("tasks"), keyed)
        except Broken:
            body = await self._send("POST", path_of("tasks"), keyed)
        return self._read(body, TaskRow)

    async def place(self, came: Incoming, person: str = "owner", namespace: str = "default") -> Placed:
        keyed = came if came.key else msgspec.structs.replace(came, key=uuid.uuid4().hex)
        return self._read(await self._send("POST", path_of("messages"), keyed), Placed)

    async def news(self, after: int, limit: int = 500, person: str = "", namespace: str = "default") -> News:
        query = {"cursor": encode_cursor(after), "limit": limit, "person": person}
        page = await self._get(EventPage, "events", query=query)
        return News(tuple((item.place, item.event) for item in page.items), decode_number(page.next))

    def watch(
        self, after: int | None = None, person: str = "", namespace: str = "default"
    ) -> AsyncIterator[tuple[int, Recorded]]:
        return Watcher(self._transport, after, person).items()

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        return Follower(self._transport, task, after or {}, tree).items()

    async def find(self, prefix: str) -> str:
        return (await self._get(Found, "find", query={"prefix": prefix})).id

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        rows: list[TaskRow] = []
        cursor = encode_cursor(wanted.before)
        if wanted.before and wanted.order == "updated":
            cursor = encode_change(wanted.before_change, wanted.before)
        while len(rows) < wanted.limit:
            most = [("cursor", cursor), ("limit", str(min(1000, wanted.limit - len(rows))))]
            # The children of one task have a path of their own.
            if wanted.parent:
                page = await self._get(TaskPage, "tasks", wanted.parent, "children", query=most)
            else:
                page = await self._get(TaskPage, "tasks", query=_asked(wanted) + most)
            rows += page.items
            cursor = page.next
            if not cursor:
                break
        return rows

    async def count_tasks(self, wanted: Filter) -> int:
        if wanted.parent:
            return len(await self.tasks(msgspec.structs.replace(wanted, before="", limit=sys.maxsize)))
        query = [*_asked(wanted), ("count", "true"), ("limit", "1")]
        return (await self._get(TaskPage, "tasks", query=query)).total or 0

    async def task(self, task: str) -> TaskDetail:
        return await self._get(TaskDetail, "tasks", task)

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        found: list[Recorded] = []
        while len(found) < limit:
            query = {"after": found[-1].seq if found else after, "limit": min(1000, limit - len(found))}
            page = await self._get(list[Recorded], "tasks", task, "journal", query=query)
            if not page:
                break
            found += page
        return found

    async def say(self, task: str, message: Message) -> None:
        await self._send("POST", path_of("tasks", task, "messages"), message)

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        given = ReplyBody(text, question, by, via, always)
        return self._read(await self._send("POST", path_of("tasks", task, "replies"), given), OpenQuestion)

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        return await self._get(list[OpenQuestion], "questions")

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        await self._send("POST", path_of("tasks", task, "cancel"), CancelBody(by, reason))

    async def pause(self, task: str, by: str = "owner", reason: str = "") -> None:
        await self._send("POST", path_of("tasks", task, "pause"), CancelBody(by, reason))

    async def resume(self, task: str, by: str = "owner") -> None:
        await self._send("POST", path_of("tasks", task, "resume"), CancelBody(by))

    async def artifacts(self, task: str) -> list[Artifact]:
        return await self._get(list[Artifact], "tasks", task, "artifacts")

    async def artifact(self, task: str, path: str) -> Artifact:
        for found in await self.artifacts(task):
            if found.path == path:
                return found
        raise NotFound(f"the task '{task}' has no file '{path}'; list its artifacts")

    async def evidence(self, task: str) -> EvidencePack:
        return await self._get(EvidencePack, "tasks", task, "evidence")

    async def ledger(self, task: str) -> list[LedgerEntry]:
        return await self._get(list[LedgerEntry], "tasks", task, "ledger")

    async def export(self, task: str) -> bytes:
        return await self._transport.call("GET", path_of("tasks", task, "export"))

    async def replay(self, task: str) -> list[ReplayReport]:
        body = await self._transport.call("POST", path_of("tasks", task, "replay"))
        return self._read(body, list[ReplayReport])

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        return self._read(await self._send("POST", path_of("tasks", task, "fork"), order), TaskRow)

    async def try_again(self, order: TrialOrder) -> TaskRow:
        return self._read(await self._send("POST", path_of("trials"), order), TaskRow)

    async def contrast(self, trial: str) -> Contrast:
        return await self._get(Contrast, "tasks", trial, "contrast")

    # --- below ---

    async def _get(self, type: type[T], *names: str, query: Any = None) -> T:
        path = path_of(*names) + ("?" + urlencode(query) if query else "")
        return self._read(await self._transport.call("GET", path), type)

    async def _send(self, method: str, path: str, value: Any) -> bytes:
        headers = {"Content-Type": "application/json"}
        return await self._transport.call(method, path, data=encode(value), headers=headers)

    def _read(self, body: bytes, type: type[T]) -> T:
        return self._transport.decode(body, type)
