"""The host as one caller may use it: what isn't theirs doesn't exist for them, what they may not do is refused.

This is the one place where it is decided who may do what; faces only say who asks. What somebody does with a task is in
its journal, with their name; what changes the host itself, or takes work out of it, is in the audit log.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from agenthost.core.access import OWNER, Accounts, Caller, Deed, DeedFilter, Right
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
from agenthost.core.budgets import subject_of
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, NotFound, Unusable
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.grants import Always
from agenthost.core.ids import root_id
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.models import Fitness
from agenthost.core.parts import FilePart, Message
from agenthost.core.ports import Abilities, Filter, LedgerEntry, Store
from agenthost.core.questions import may_answer
from agenthost.core.replaying import Contrast, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.tasks import TaskRow
from agenthost.host.answering import named as meant_by
from agenthost.host.answering import not_yours
from agenthost.host.budgets.allowances import asks_for_budget
from agenthost.host.desk import place
from agenthost.wire.tries import Tries

T = TypeVar("T")

_REMEMBERED = 20_000
MOST_REFUSED = 100
"""Lines an hour and person of the audit log about what they might not do."""
MOST_CHECKED = 512 * 1024
"""Characters of manifests that are checked at once for somebody who could apply none."""
_FREE = ("embed", "moderate")
"""What of a provider's abilities anybody may use who gives work; the others keep something at the provider or list it."""


class Owners:
    """Whose tasks are whose, remembered: a task never changes hands. `refused`: how many lines of the audit log say what
    somebody might not do."""

    def __init__(self, store: Store) -> None:
        self.refused = Tries(MOST_REFUSED, 3600.0)
        self._store = store
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()

    async def of(self, task: str) -> tuple[str, str] | None:
        """Namespace and person of a task, None where there is none."""
        root = root_id(task)
        found = self._known.get(root)
        if found is None:
            row = await self._store.task(root)
            if row is None:
                return None
            self.learn(row)
            return row.namespace, row.person
        self._known.move_to_end(root)
        return found

    def learn(self, row: TaskRow) -> None:
        """Remember whose a task is that was just made or read."""
        self._known[row.root or row.id] = (row.namespace, row.person)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class GuardedHost(HostApi):
    """`host` for `caller`. Made for each request, and cheap."""

    def __init__(self, host: HostApi, caller: Caller, accounts: Accounts, owners: Owners) -> None:
        self._host = host
        self._caller = caller
        self._accounts = accounts
        self._owners = owners
        self._opened: set[str] = set()

    # --- what is asked first ---

    def _need(self, right: Right, what: str) -> None:
        if not self._caller.may(right):
            raise forbidden(self._caller, right, what)

    async def _allow(self, right: Right, what: str, deed_of: str, thing: str) -> None:
        """That they may do what is noted. That they tried it, and may not, is in the audit log as well."""
        if not self._caller.may(right):
            await note_refused(self._accounts, self._owners.refused, self._caller, deed_of, thing)
            raise forbidden(self._caller, right, what)

    async def _task(self, task: str, right: Right, what: str) -> None:
        """Raises NotFound where the task isn't theirs to see, Forbidden where they may not do that with it."""
        whose = await self._owners.of(task)
        if whose is None or not self._caller.sees(*whose):
            raise NotFound(f"there is no task '{task}'")
        need_task(self._caller, whose[1], right, what)

    async def _noted(self, what: str, thing: str, doing: Awaitable[T]) -> T:
        """Do it, and say so in the audit log."""
        outcome = "done"
        try:
            return await doing
        except AgentHostError as error:
            outcome = error.code
            raise
        finally:
            await self._accounts.note([deed(self._caller, what, thing, outcome)])

    # --- the host ---

    async def info(self) -> HostInfo:
        self._need("read", "look at the host")
        found = await self._host.info()
        if self._caller.may("manage"):
            return found
        return HostInfo(found.version, "", 0, found.serving)

    async def doctor(self) -> list[Finding]:
        self._need("manage", "examine the host")
        return await self._host.doctor()

    async def health(self) -> Health:
        self._need("manage", "look at how the host is doing")
        return await self._host.health()

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        self._need("work", "give files")
        kept = await self._host.put_file(name, content, media_type)
        await self._accounts.own_file(self._caller.namespace, self._caller.person, kept.digest)
        return kept

    async def take_file(self, name: str, pieces: AsyncIterable[bytes], media_type: str = "") -> FilePart:
        self._need("work", "give files")
        kept = await self._host.take_file(name, pieces, media_type)
        await self._accounts.own_file(self._caller.namespace, self._caller.person, kept.digest)
        return kept

    async def get_file(self, digest: str) -> bytes:
        await self._readable(digest)
        return await self._host.get_file(digest)

    async def file_size(self, digest: str) -> int:
        await self._readable(digest)
        return await self._host.file_size(digest)

    async def read_file(self, digest: str, start: int, length: int) -> bytes:
        await self._readable(digest)
        return await self._host.read_file(digest, start, length)

    async def link(self, file: Linked) -> str:
        await self._readable(file.digest)
        caller = self._caller
        key = caller.via.removeprefix("key:") if caller.via.startswith("key:") else ""
        file = msgspec.structs.replace(file, person=caller.person, namespace=caller.namespace, key=key)
        return await self._noted("file.link", file.digest, self._host.link(file))

    async def _readable(self, digest: str) -> None:
        self._need("read", "read files")
        # A large file is read in many parts, by one request.
        if digest not in self._opened:
            await self._need_file(digest)
            self._opened.add(digest)

    async def _need_file(self, digest: str) -> None:
        whose = self._caller.person if self._caller.role == "user" else ""
        if not await self._accounts.has_file(self._caller.namespace, whose, digest):
            raise NotFound(f"there is no file '{digest}'")

    # --- tasks ---

    async def start(self, order: Order) -> TaskRow:
        self._need("work", "give work")
        caller = self._caller
        order = msgspec.structs.replace(
            order,
            person=caller.person,
            namespace=caller.namespace,
            via=f"{caller.via} {caller.at}".strip(),
            caused=caller.caused,
        )
        for named in files_of(order):
            await self._need_file(named)
        row = await self._host.start(order)
        self._owners.learn(row)
        return row

    async def place(self, came: Incoming, person: str = "", namespace: str = "") -> Placed:
        self._need("work", "give work")
        if not came.conversation:
            return await place(self, came)
        for part in came.files:
            await self._need_file(part.digest)
        return await self._host.place(came, self._caller.person, self._caller.namespace)

    async def news(self, after: int, limit: int = 500, person: str = "", namespace: str = "default") -> News:
        self._need("read", "follow tasks")
        whose = self._whose(person)
        if whose is None:
            return News((), after)
        return await self._host.news(after, limit, whose, self._caller.namespace)

    async def watch(
        self, after: int | None = None, person: str = "", namespace: str = "default"
    ) -> AsyncIterator[tuple[int, Recorded]]:
        self._need("read", "follow tasks")
        whose = self._whose(person)
        if whose is None:
            raise NotFound(f"there is nobody '{person}'")
        async for item in self._host.watch(after, whose, self._caller.namespace):
            yield item

    def _whose(self, person: str) -> str | None:
        """Whose tasks are meant where a person is asked for (empty: everybody's), None where they aren't theirs to see."""
        if self._caller.role != "user":
            return person
        return self._caller.person if person in ("", self._caller.person) else None

    async def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        await self._task(task, "read", "follow tasks")
        async for item in self._host.follow(task, after, tree):
            yield item

    async def find(self, prefix: str) -> str:
        self._need("read", "find tasks")
        if self._caller.role != "user":
            found = await self._host.find(prefix)
            await self._task(found, "read", "find tasks")
            return found
        if prefix == "last":
            rows = await self.tasks(Filter(roots_only=True, limit=1))
            if not rows:
                raise NotFound("there is no task of yours yet")
            return rows[0].id
        try:
            found = await self._host.find(prefix)
        except NotFound:
            raise
        except BadInput:
            # Several begin so, perhaps others' among them: more of the id tells them apart, and nothing of theirs.
            raise BadInput(f"several tasks may begin with '{prefix}'; give the whole id") from None
        await self._task(found, "read", "find tasks")
        return found

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        theirs = self._theirs(wanted)
        return [] if theirs is None else await self._host.tasks(theirs)

    async def count_tasks(self, wanted: Filter) -> int:
        theirs = self._theirs(wanted)
        return 0 if theirs is None else await self._host.count_tasks(theirs)

    def _theirs(self, wanted: Filter) -> Filter | None:
        """What of a listing the caller may see; None where it is nothing."""
        self._need("read", "list tasks")
        person = self._whose(wanted.person)
        if person is None:
            return None
        return msgspec.structs.replace(wanted, namespace=self._caller.namespace, person=person)

    async def task(self, task: str) -> TaskDetail:
        await self._task(task, "read", "look at tasks")
        return await self._host.task(task)

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        await self._task(task, "read", "read journals")
        return await self._host.events(task, after, limit)

    async def say(self, task: str, message: Message) -> None:
        await self._task(task, "work", "write to tasks")
        for part in message.parts:
            if isinstance(part, FilePart):
                await self._need_file(part.digest)
        await self._host.say(task, msgspec.structs.replace(message, sender=self._caller.person))

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        caller, whose = self._caller, await self._owners.of(task)
        if whose is None or whose[0] != caller.namespace:
            raise NotFound(f"there is no task '{task}'")
        asked = (await self._host.task(task)).questions
        mine = [open for open in asked if self._answers(open, whose[1])]
        if not mine and not caller.sees(*whose):
            raise NotFound(f"there is no task '{task}'")
        self._need("work", "answer questions")
        meant = meant_by(asked, question)
        if len(meant) > 1 and len(mine) == 1:
            meant = mine
        for open in meant:
            if open not in mine:
                need_task(caller, whose[1], "work", "answer questions")
                raise not_yours(open.ask, whose[1])
        if not meant:
            need_task(caller, whose[1], "work", "answer questions")
        said = f"{meant[0].task}/{meant[0].ask.id}" if len(meant) == 1 else question
        if not caller.may("manage"):
            await self._need_no_day(task, text, said)
        return await self._host.reply(task, text, said, caller.person, via, always)

    def _answers(self, open: OpenQuestion, requester: str) -> bool:
        """Whether a question is the caller's to answer: as its manifest says, else as they may work on the task."""
        caller = self._caller
        if open.ask.by:
            return may_answer(open.ask.by, caller.person, caller.role, requester)
        return requester == caller.person or caller.may("manage")

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        self._need("work", "answer questions")
        found: list[OpenQuestion] = []
        for open in await self._host.questions(self._caller.namespace):
            whose = await self._owners.of(open.task)
            if whose is not None and self._answers(open, whose[1]):
                found.append(open)
        return found

    async def _need_no_day(self, task: str, text: str, question: str) -> None:
        """A day's budget is no task's own: who manages nothing may end the task, and not raise it."""
        for each in (await self._host.task(task)).questions:
            named = not question or question in (each.ask.id, f"{each.task}/{each.ask.id}")
            if named and subject_of(asks_for_budget(each.ask)) and text.strip().lower() not in ("deny", "2"):
                raise Forbidden(
                    "the budget of a day is raised by somebody who manages this host (`agenthost budgets set`, or by this "
                    "question); `deny` ends the task"
                )

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        await self._task(task, "work", "cancel tasks")
        await self._host.cancel(task, self._caller.person, reason)

    async def pause(self, task: str, by: str = "owner", reason: str = "") -> None:
        await self._task(task, "work", "pause tasks")
        await self._host.pause(task, self._caller.person, reason)

    async def resume(self, task: str, by: str = "owner") -> None:
        await self._task(task, "work", "resume tasks")
        await self._host.resume(task, self._caller.person)

    async def artifacts(self, task: str) -> list[Artifact]:
        await self._task(task, "read", "look at files")
        return await self._host.artifacts(task)

    async def artifact(self, task: str, path: str) -> Artifact:
        await self._task(task, "read", "look at files")
        return await self._host.artifact(task, path)

    async def evidence(self, task: str) -> EvidencePack:
        await self._task(task, "read", "look at evidence")
        return await self._host.evidence(task)

    async def ledger(self, task: str) -> list[LedgerEntry]:
        await self._task(task, "read", "look at what tasks cost")
        return await self._host.ledger(task)

    async def export(self, task: str) -> bytes:
        await self._task(task, "read", "export tasks")
        return await self._noted("task.export", task, self._host.export(task))

    async def replay(self, task: str) -> list[ReplayReport]:
        await self._task(task, "read", "replay tasks")
        return await self._host.replay(task)

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        await self._task(task, "work", "fork tasks")
        caller = self._caller
        order = msgspec.structs.replace(
            order, person=caller.person, namespace=caller.namespace, via=f"{caller.via} {caller.at}".strip()
        )
        row = await self._noted("task.fork", task, self._host.fork(task, order))
        self._owners.learn(row)
        return row

    async def try_again(self, order: TrialOrder) -> TaskRow:
        self._need("work", "give work")
        if order.task:
            await self._task(order.task, "work", "try tasks")
        if order.file:
            await self._need_file(order.file)
        caller = self._caller
        order = msgspec.structs.replace(
            order, person=caller.person, namespace=caller.namespace, via=f"{caller.via} {caller.at}".strip()
        )
        row = await self._noted("task.try", order.task or order.file, self._host.try_again(order))
        self._owners.learn(row)
        return row

    async def contrast(self, trial: str) -> Contrast:
        await self._task(trial, "read", "read journals")
        return await self._host.contrast(trial)

    # --- manifests, models, secrets ---

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        if dry_run:
            self._need("read", "check manifests")
            if not self._caller.may("manage") and sum(map(len, texts.values())) > MOST_CHECKED:
                raise Unusable(
                    f"who manages nothing has at most {MOST_CHECKED // 1024} KB of manifests checked at once; send fewer"
                )
            return await self._host.apply(texts, True, self._caller.person)
        named = ", ".join(sorted(texts))
        await self._allow("manage", "apply manifests", "manifest.apply", named)
        return await self._noted("manifest.apply", named, self._host.apply(texts, False, self._caller.person))

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        self._need("read", "read manifests")
        return await self._host.manifests(kind)

    async def manifest(self, kind: str, name: str) -> ManifestVersion:
        self._need("read", "read manifests")
        return await self._host.manifest(kind, name)

    async def versions(self, kind: str, name: str, before: int = 0, limit: int = 50) -> list[ManifestVersion]:
        self._need("read", "read manifests")
        return await self._host.versions(kind, name, before, limit)

    async def put_manifest(
        self, kind: str, name: str, text: str, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        await self._allow("manage", "apply manifests", "manifest.apply", f"{kind}/{name}")
        doing = self._host.put_manifest(kind, name, text, expected, self._caller.person)
        return await self._noted("manifest.apply", f"{kind}/{name}", doing)

    async def roll_back(
        self, kind: str, name: str, number: int, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        await self._allow("manage", "apply manifests", "manifest.roll-back", f"{kind}/{name}@{number}")
        doing = self._host.roll_back(kind, name, number, expected, self._caller.person)
        return await self._noted("manifest.roll-back", f"{kind}/{name}@{number}", doing)

    async def delete(self, kind: str, name: str, expected: str | None = None) -> None:
        await self._allow("manage", "delete manifests", "manifest.delete", f"{kind}/{name}")
        await self._noted("manifest.delete", f"{kind}/{name}", self._host.delete(kind, name, expected))

    # --- what was used and done, settings ---

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        self._need("read", "look at what was used")
        whose = self._whose(wanted.person)
        if whose is None:
            return []
        return await self._host.usage(msgspec.structs.replace(wanted, namespace=self._caller.namespace, person=whose))

    async def audit(self, wanted: DeedFilter) -> list[Deed]:
        await self._allow("own", "read the audit log", "audit.read", wanted.what)
        return await self._host.audit(msgspec.structs.replace(wanted, namespace=self._caller.namespace))

    async def changeable(self) -> list[SettingLine]:
        self._need("manage", "look at settings")
        return await self._host.changeable()

    async def change(self, values: dict[str, float | None]) -> list[SettingLine]:
        await self._allow("own", "change settings", "settings.change", ", ".join(sorted(values)))
        return await self._noted("settings.change", ", ".join(sorted(values)), self._host.change(values))

    async def models(self, provider: str = "") -> list[ModelLine]:
        self._need("manage" if provider else "read", "ask a provider for its models" if provider else "list models")
        return await self._host.models(provider)

    async def model(self, name: str) -> ModelDetail:
        self._need("read", "look at models")
        return await self._host.model(name)

    async def abilities(self, name: str, person: str = "", namespace: str = "") -> Abilities:
        self._need("work", "use models")
        found = await self._host.abilities(name, self._caller.person, self._caller.namespace)
        return found if self._caller.may("manage") else cast("Abilities", _Fewer(found, self._caller))

    async def probe(
        self, name: str, quick: bool = False, context: int = 0, person: str = "", namespace: str = ""
    ) -> AsyncIterator[str | Fitness]:
        await self._allow("manage", "probe models", "model.probe", name)
        await self._accounts.note([deed(self._caller, "model.probe", name, "done")])
        async for item in self._host.probe(name, quick, context, self._caller.person, self._caller.namespace):
            yield item

    async def set_secret(self, name: str, value: str) -> None:
        what = "secret.set" if value else "secret.delete"
        await self._allow("own", "set secrets", what, name)
        await self._noted(what, name, self._host.set_secret(name, value))

    async def secrets(self) -> list[str]:
        self._need("own", "list secrets")
        return await self._host.secrets()

    async def close(self) -> None:
        """Nothing: the host isn't the caller's to close."""


class _Fewer:
    """A provider's abilities for somebody who manages nothing: those that keep nothing there."""

    def __init__(self, inner: Abilities, caller: Caller) -> None:
        self._inner = inner
        self._caller = caller

    def __getattr__(self, name: str) -> Any:
        if name == "card" or name in _FREE:
            return getattr(self._inner, name)
        caller = self._caller

        async def refused(*_: Any, **__: Any) -> NoReturn:
            raise forbidden(caller, "manage", f"use '{name}' of a model's provider")

        return refused


def files_of(order: Order) -> set[str]:
    """The content hashes of every file that an order names."""
    found = {file.digest for file in order.files} | set(order.workspace.values())
    _named(order.inputs, found)
    for turn in order.terms.history if order.terms else ():
        found |= {part.digest for part in turn.parts if isinstance(part, FilePart)}
    return found


def _named(value: Any, found: set[str]) -> None:
    """The files in a workflow's inputs, however deep: its expressions may make an input of a part of one."""
    if isinstance(value, FilePart):
        found.add(value.digest)
    elif isinstance(value, dict):
        digest = cast("dict[str, Any]", value).get("digest")
        found |= {digest} if isinstance(digest, str) else set[str]()
        for inner in cast("dict[str, Any]", value).values():
            _named(inner, found)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            _named(inner, found)
    elif isinstance(value, str) and '"' in value and "digest" in value:
        # An object or a list may come as its JSON.
        with suppress(msgspec.DecodeError, RecursionError):
            _named(msgspec.json.decode(value), found)


async def note_refused(accounts: Accounts, refused: Tries, caller: Caller, what: str, thing: str) -> None:
    """Say in the audit log what somebody tried who may not; not for ever, or they could fill the disk with it."""
    who = f"{caller.namespace}/{caller.person}"
    if not refused.wait(who):
        refused.count(who)
        await accounts.note([deed(caller, what, thing, Forbidden.code)])


def need_task(caller: Caller, person: str, right: Right, what: str) -> None:
    """Raises Forbidden where a caller may not do that with a person's task that they see."""
    if not caller.may(right):
        raise forbidden(caller, right, what)
    if right == "work" and person != caller.person and not caller.may("manage"):
        raise forbidden(caller, "manage", what)


def forbidden(caller: Caller, right: Right, what: str) -> Forbidden:
    """That a caller may not do something, and what they would need."""
    if caller.via.startswith("key:") and caller.role != "read-only":
        return Forbidden(f"this key may not {what}: it needs the right '{right}'; use another key")
    return Forbidden(f"you may not {what}: it needs the right '{right}', which '{caller.role}' doesn't have")


def deed(caller: Caller, what: str, thing: str, outcome: str) -> Deed:
    """A line for the audit log, of now."""
    return Deed(
        time.time(), caller.person, what, thing[:500], caller.via, caller.at, outcome, namespace=caller.namespace
    )
