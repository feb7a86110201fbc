"""Host: joins the parts from settings and offers the use-cases (core.api.HostApi).

`adapters.py` alone names adapters; here they are known by their ports.
"""

import asyncio
import gc
import os
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from agenthost import __version__
from agenthost.core.access import OWNER, Accounts, Caller
from agenthost.core.administration import Administration
from agenthost.core.api import (
    Applied,
    Finding,
    Health,
    HostInfo,
    Incoming,
    ManifestProblem,
    ModelDetail,
    ModelLine,
    Order,
    Placed,
)
from agenthost.core.errors import AgentHostError, Conflict, NotFound, Temporary, Unavailable
from agenthost.core.events import Answered, Finished
from agenthost.core.ids import task_id
from agenthost.core.models import Fitness, ModelAnswer
from agenthost.core.ports import Abilities, Filter
from agenthost.core.redact import Redactor
from agenthost.core.replaying import ForkOrder, TrialOrder
from agenthost.core.tasks import TaskRow
from agenthost.core.telling import Committed
from agenthost.core.webhooks import SECRET
from agenthost.engine.engine import Engine
from agenthost.engine.parts import EngineSettings, Log, Parts
from agenthost.host import health, orders, records, shelf, terms
from agenthost.host.adapters import Adapters, join
from agenthost.host.administrator import Administrator
from agenthost.host.budgets.desk import Desk as BudgetDesk
from agenthost.host.conversing.joined import joined as conversing
from agenthost.host.conversing.telling import is_said
from agenthost.host.desk import GOING, cancel_all, place
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.oidc import Providers
from agenthost.host.entry.register import Register
from agenthost.host.erasure.joined import joined as erasure
from agenthost.host.folder import ManifestFolder
from agenthost.host.guarded import files_of
from agenthost.host.importing.joined import joined as importing
from agenthost.host.library import NAMESPACE, Library
from agenthost.host.logs import logger
from agenthost.host.reception import Doors, Reception, ensure_owner, owners_token
from agenthost.host.schedules.joined import joined as scheduled
from agenthost.host.settings import Settings
from agenthost.host.tasks import TaskDesk
from agenthost.host.telling import Watch
from agenthost.host.webhooks.joined import joined
from agenthost.host.webhooks.telling import is_told

COLLECT = (50_000, 20, 20)
"""Thresholds of Python's garbage collector in a process that works on tasks. A run makes thousands of objects that
live as long as it does; with the interpreter's own 700 the collector took 12 % of the CPU at 64 runs at once."""


class Host(TaskDesk):
    """One host in this process. Made by `open_host`; fulfils core.api.HostApi."""

    def __init__(self, settings: Settings, adapters: Adapters, log: Log) -> None:
        super().__init__(adapters, Library(adapters.store, adapters.models, adapters.tools), settings)
        self._log = log
        self._tokens: dict[str, str] = {}
        self.pushes = adapters.pushes
        self.shelf = shelf.Desk(adapters.shelf)
        self.outgoing = adapters.outgoing
        self.telling = Watch(adapters.figures, adapters.keeping, log)
        parts = Parts(
            store=adapters.store,
            blobs=adapters.blobs,
            workspaces=adapters.workspaces,
            models=adapters.models,
            tools=adapters.tools,
            sandbox=adapters.sandbox,
            prober=adapters.prober,
            inspector=adapters.inspector,
            scripts=adapters.scripts,
            programs=self.library,
            log=log,
            random=secrets.SystemRandom().random,
            redact=self._redact,
            committed=self._committed,
            grants=self._book,
            stand_in=self._replaying.stand_in(lambda item: self.engine.put(item)),
        )
        work = settings.work
        engine = EngineSettings(
            attempts=work.attempts, backoff=work.backoff, backoff_most=work.backoff_most, tasks=work.tasks
        )
        self.engine = Engine(parts, engine, f"{os.getpid()}-{secrets.token_hex(4)}")
        self._health = health.Watch(settings.folder, adapters.stock, adapters.webhooks, self.engine)
        self.telling.of(self.engine, adapters.machine)
        self.entrance = Entrance(Register(adapters.accounts), settings.access)
        self.providers = Providers(settings.oidc, self.entrance, adapters.secrets.get)
        self._folder = ManifestFolder(settings.folder / "manifests", self.apply, log)
        self._deliverer, self.webhooks = joined(settings, adapters, self.events_of, self._load_secrets, log)
        self._teller, self.conversing = conversing(self, settings.routing, adapters, log)
        self._keeper, self.erasure = erasure(self, settings, adapters, self.webhooks, self.entrance, log)
        self.importing = importing(adapters, lambda: self.engine.services.codec)
        self._schedules, self.schedules, self._manifested = scheduled(self, self.library, adapters, log)
        self.library.allowances.take(settings.budgets)
        self.budgets = BudgetDesk(self.library, adapters.store, adapters.keeping, adapters.accounts)
        self._closing = False
        self._recovery: asyncio.Task[None] | None = None
        self._ready = False
        self.serving = False

    @property
    def accounts(self) -> Accounts:
        """People, keys and the audit log."""
        return self._adapters.accounts

    # --- start and end ----------------------------------------------------------------------------

    async def open(self, work: bool) -> None:
        """Get ready; with `work`, unfinished tasks go on and manifests in the home's folder are live."""
        await self._adapters.store.open()
        await ensure_owner(self._adapters.accounts)
        await self.take_changes()
        await self._load_secrets()
        for unread in await self.library.open():
            self._log.error("manifest not read", problem=unread)
        await self._folder.take()
        await self._manifested.take()
        await self.budgets.open()
        if work:
            await self._start_working()
            if not self.serving:
                await self.recovered()

    async def reception(self) -> Reception:
        """Who may come in over a port, and as what they may use this host."""
        adapters = self._adapters
        token = await asyncio.to_thread(owners_token, self.settings.folder)
        self._tokens = {"owner's token": token}
        await self._load_secrets()
        return Reception(self, adapters.store, token, Doors(self.entrance, self.admin, self.linked))

    def admin(self, caller: Caller | None = None) -> Administration:
        """People and keys as a caller may look after them; without one, as the owner."""
        return Administrator(caller or Caller(), self.entrance, partial(cancel_all, self, self._adapters.store))

    async def _start_working(self) -> None:
        if not self._working:
            self._working = True
            try:
                tracer = await self.telling.trace(
                    self.settings.telemetry, self._events_until, self._adapters.stands_for
                )
            except AgentHostError:
                self._working = False
                raise
            if tracer is not None:
                self.engine.services.supervisor.start("traces", tracer.run())
            gc.set_threshold(*COLLECT)
            await self.telling.begin()
            await self.engine.begin(alone=True)
            supervisor = self.engine.services.supervisor
            self._recovery = supervisor.start("recovery", self._recover())
            supervisor.start("manifests folder", self._folder.watch())
            supervisor.start("retention", self._keeper.run())
            supervisor.start("webhooks", self._deliverer.run(time.time, random.random))
            supervisor.start("conversations", self._teller.run())
            if self.serving:
                # A command's own process would end with its command.
                supervisor.start("schedules", self._schedules.run(time.time))

    async def _recover(self) -> None:
        await self._release_held()
        taken = await self.engine.take_over()
        self._log.info("recovered", tasks=taken)
        self._ready = True

    async def recovered(self) -> None:
        """Until every unfinished task goes on, or is held. Raises what kept it from that."""
        if self._recovery is not None:
            await asyncio.shield(self._recovery)

    def readiness(self) -> str:
        """Empty where the host takes work and goes on with what was left; else `starting` or `closing`."""
        if self._closing:
            return "closing"
        return "" if self._ready else "starting"

    async def health(self) -> Health:
        """How it is doing, and what isn't as it should be."""
        return await self._health.now(self.readiness(), await self._adapters.sandbox.available())

    async def drain(self) -> int:
        """Take no new work, and let what was begun end and be journalled, for `[work] grace` seconds at most; how many
        tasks had something left then. It goes on at the next start."""
        self._closing = True
        return await self.engine.drain(self.settings.work.grace) if self._working else 0

    async def _release_held(self) -> None:
        """Give every dead-lettered task that can be read (again) another try; the others stay as they are."""
        before = ""
        while rows := await self._adapters.store.tasks(Filter(states=GOING, before=before, limit=500)):
            for row in rows:
                if row.hold == "dead-letter" and await self._readable(row):
                    await self._adapters.store.hold(row.id, "", "")
            before = rows[-1].id

    async def _readable(self, row: TaskRow) -> bool:
        try:
            await self.library.program(records.spec_of(await self.events_of(row.id)))
        except AgentHostError:
            return False
        return True

    async def close(self) -> None:
        """Stop. What runs is in the journal and goes on at the next start."""
        try:
            if self._working:
                await self.engine.close()
                await self.telling.close()
        finally:
            await self._adapters.close()

    def _committed(self, done: Committed) -> None:
        self.telling.hear(done)
        for recorded in done.events:
            self._health.lately.hear(recorded)
            if is_told(recorded.event):
                self._deliverer.call()
            if is_said(recorded.event):
                self._teller.call()
            if isinstance(recorded.event, Finished):
                self._schedules.hear(recorded.task)
            if isinstance(recorded.event, Finished) and self.library.is_remote(done.name):
                with suppress(RuntimeError):  # the host is closing
                    self.engine.services.supervisor.start(f"let go {recorded.task}", self._let_go(recorded.task))

    async def _let_go(self, task: str) -> None:
        """Tell an agent elsewhere, where it waits for an answer, that nobody will give it one."""
        for recorded in reversed(await self.events_of(task)):
            answered = recorded.event
            if isinstance(answered, Answered) and isinstance(answered.answer, ModelAnswer):
                await self._adapters.let_go(answered.answer.model, answered.answer.state)
                return

    async def _load_secrets(self) -> None:
        known: dict[str, str] = {}
        for name in await self._adapters.secrets.names():
            value = await self._adapters.secrets.get(name)
            if value:
                known[name] = value
        for name in ("OPENAI_API_KEY", "AGENTHOST_TOKEN"):
            if os.environ.get(name):
                known[name] = os.environ[name]
        known |= {
            f"{name}.api-key": provider.api_key
            for name, provider in self.settings.models.providers.items()
            if provider.api_key
        }
        self._redactor = Redactor(known | self._tokens)

    # --- what there is ----------------------------------------------------------------------------

    async def info(self) -> HostInfo:
        """Which host this is."""
        machine = self._adapters.machine
        return HostInfo(
            __version__, self.settings.home, os.getpid(), self.serving, machine.facts(), tuple(machine.waiting())
        )

    # --- tasks ------------------------------------------------------------------------------------

    async def place(self, came: Incoming, person: str = OWNER, namespace: str = NAMESPACE) -> Placed:
        """Give a message to the task that it is for."""
        if not came.conversation:
            return await place(self, came)
        came = msgspec.json.decode(self._redact(msgspec.json.encode(came)), type=Incoming)
        await self._need_files({file.digest for file in came.files})
        await self._start_working()
        return await self.conversing.place(came, person, namespace)

    async def start(self, order: Order) -> TaskRow:
        """Start work; with the same key, once."""
        self._need_open()
        order = msgspec.json.decode(self._redact(msgspec.json.encode(order)), type=Order)
        id = orders.id_for(order) if order.key else task_id(int(time.time() * 1000), secrets.randbits(35))
        row = await self._adapters.store.task(id) if order.key else None
        if row is None:
            given = orders.read(order, self.library)
            await terms.check_output(order.terms)
            await self._need_sandbox(order)
            spec = await orders.specify(order, given, id, self.library)
            spec = msgspec.structs.replace(spec, asking=self.settings.asking.asking())
            await self._need_files(files_of(order) | {file.digest for file in given.files})
            await self._start_working()
            made = await self.engine.create(spec, order.workspace)
            if made is not None:
                return made
            row = await self._row(id)
        await self._need_same(order, row)
        return row

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        """A new task that goes on from an event of another."""
        self._need_open()
        await self._start_working()
        return await self._replaying.fork(task, order, self.engine, self.settings.asking.asking())

    async def try_again(self, order: TrialOrder) -> TaskRow:
        """A task once more with another model, against what was recorded."""
        self._need_open()
        await self._start_working()
        return await self._replaying.try_again(order, self.engine)

    def _need_open(self) -> None:
        if self._closing:
            raise Temporary("this host is stopping and takes no new work; ask again", code="closing", delay=5.0)

    async def _need_sandbox(self, order: Order) -> None:
        """Refuse work that runs code where there is no sandbox, before anything is kept."""
        for policy in self.library.code(order.name, order.namespace):
            found = await self._adapters.sandbox.suits(policy)
            if not found.available:
                raise Unavailable(
                    f"code runs only in a sandbox, and there is none: {found.detail}. To mend it: {found.fix}"
                )

    async def _need_same(self, order: Order, row: TaskRow) -> None:
        """A key stands for one work: refuse another one."""
        spec = records.spec_of(await self.events(row.id, 0, 1))
        if not orders.same(order, spec, self.library):
            raise Conflict(
                f"the key '{order.key}' stands for other work already (task {row.id}: {row.name}, {row.title}); "
                "choose another key"
            )

    # --- manifests, models, secrets ---------------------------------------------------------------

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take manifests: all of them or, where there is any problem, none."""
        done, problems = await self.library.apply(texts, time.time(), dry_run, by)
        if not dry_run and not problems:
            self.engine.slots.review()
        return done, problems

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        """The manifests of a kind by name."""
        return self.library.manifests(kind)

    async def delete(self, kind: str, name: str, expected: str | None = None) -> None:
        """Remove a manifest."""
        await self.library.delete(kind, name, expected=expected)

    async def models(self, provider: str = "") -> list[ModelLine]:
        """The models that can be named here, or those that a provider says it has."""
        return await self._adapters.list_models(provider)

    async def model(self, name: str) -> ModelDetail:
        """One model: as it claims, as it was found, as the loop goes by it."""
        return await self._adapters.model_detail(name)

    async def abilities(self, name: str, person: str = OWNER, namespace: str = NAMESPACE) -> Abilities:
        """What else a model's provider does."""
        return self.budgets.metered(await self._adapters.models.abilities(name), name, person, namespace)

    def probe(
        self, name: str, quick: bool = False, context: int = 0, person: str = OWNER, namespace: str = NAMESPACE
    ) -> AsyncIterator[str | Fitness]:
        """Find out what a model really does."""
        pays = partial(self.budgets.metered_model, name=name, person=person, namespace=namespace)
        return self._adapters.probe(name, quick, context, pays)

    async def set_secret(self, name: str, value: str) -> None:
        """Keep a secret, encrypted; from now on it is taken out of everything that is journalled."""
        if value:
            await self._adapters.secrets.set(name, value)
        elif not await self._adapters.secrets.delete(name):
            raise NotFound(f"there is no secret '{name}'")
        await self._load_secrets()

    async def secret(self, name: str) -> str:
        """The value of a secret, for what runs in this process beside the host; empty where there is none. No face gives it away."""
        return await self._adapters.secrets.get(name) or ""

    async def secrets(self) -> list[str]:
        """The names of the secrets that are kept."""
        return [name for name in await self._adapters.secrets.names() if not name.startswith(SECRET)]

    async def doctor(self) -> list[Finding]:
        """What is well and what is not, with how to mend it."""
        from agenthost.host.doctor import examine

        parts = self._adapters
        found = await examine(self.settings, parts.sandbox, parts.machine, parts.store, await self.models())
        if unguarded := self.library.unguarded():
            seen = f"content that strangers write decides without a question: {', '.join(unguarded)}"
            found.append(Finding("warn", "untrusted content", seen, "remove `trust: {mode: off}` from these manifests"))
        # What only a host that goes on can tell, and what matters to nobody else.
        return found + await self._health.look() if self.serving else found


async def open_host(settings: Settings, work: bool = False, log: Log | None = None, serving: bool = False) -> Host:
    """Open the host of a home. Raises HomeBusy, StoreDamaged, NewerVersion, BadInput, each saying what to do.

    `work`: unfinished tasks go on at once; else nothing runs until something is started. `serving`: it goes on
    until it is told to stop, for whoever comes, and doesn't end with one command.
    """
    log = log or logger()
    adapters = await join(settings)
    try:
        host = Host(settings, adapters, log)
        host.serving = serving
    except BaseException:
        await adapters.close()
        raise
    try:
        await host.open(work)
    except BaseException:
        await host.close()
        raise
    return host
