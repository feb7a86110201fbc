"""The sandbox that a policy gets: what it demands, else what the host is set to, else the strongest that is here.

Never less than what is demanded. Each back end is made when it is first thought of, looked at once, and looked at
again after it failed, or before something is refused.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct

from agenthost.core.errors import AgentHostError, NotFound, Temporary, Unavailable
from agenthost.core.ports import Sandbox, SandboxService, silent
from agenthost.core.sandboxes import (
    ISOLATIONS,
    Availability,
    Isolation,
    SandboxOutcome,
    SandboxPolicy,
    SandboxRun,
)

AUTO = "auto"
Ability = Literal["images", "hosts"]

_ENDS = "The host ends; nothing more is started."
_LOOK_SECONDS = 60.0
"""A back end that doesn't say in this time whether it is there isn't."""


class BackEnd(Struct, frozen=True):
    """One sandbox that can be chosen. `can`: what of a policy it can give; `alone`: whether it may be chosen by
    itself, without being named. `make` does no I/O but reading its code, in a thread."""

    name: str
    isolation: Isolation
    make: Callable[[], Sandbox]
    can: frozenset[Ability] = frozenset()
    alone: bool = True


class Seen(Struct, frozen=True):
    """A back end and what was seen of it. `chosen`: it runs what demands nothing."""

    name: str
    isolation: Isolation
    availability: Availability
    chosen: bool


class Choice:
    """The port `core.ports.Sandbox` over several: `ends` in the order in which they are preferred among equally strong
    ones. `kind` is the name of one of them, or `auto`. Raises NotFound where there is no such one."""

    def __init__(self, ends: Sequence[BackEnd], kind: str = AUTO) -> None:
        known = [end.name for end in ends]
        if kind not in (AUTO, *known):
            names = ", ".join(f'"{name}"' for name in (AUTO, *known))
            raise NotFound(
                f"there is no sandbox '{kind}'; [sandbox] kind in agenthost.toml, or AGENTHOST_SANDBOX, may be one of {names}"
            )
        # `sorted` is stable: the strongest first, and among those the order that was given.
        self._ends = sorted(ends, key=lambda end: -ISOLATIONS.index(end.isolation))
        self._kind = kind
        self._made: dict[str, Sandbox] = {}
        self._closed = False
        self._seen: dict[str, Availability] = {}
        self._looking = {end.name: asyncio.Lock() for end in ends}

    @property
    def name(self) -> str:
        return self._kind

    @property
    def isolation(self) -> Isolation:
        """What any policy gets at the least."""
        given = [end.isolation for end in self._candidates(SandboxPolicy())]
        return "kernel" if given and "process" not in given else "process"

    async def available(self) -> Availability:
        """Whether there is a sandbox for a policy that demands nothing."""
        return await self.suits(SandboxPolicy())

    async def suits(self, policy: SandboxPolicy) -> Availability:
        """Whether there is a sandbox for this policy, which, and else what to do."""
        found = await self._find(policy)
        if found is not None:
            detail = self._seen[found.name].detail
            return Availability(True, f"{found.name}: {detail}" if detail and found.name not in detail else found.name)
        return self._none(policy)

    async def survey(self) -> list[Seen]:
        """Every back end, looked at anew."""
        seen = await asyncio.gather(*(self._look(end, again=True) for end in self._ends))
        chosen = await self._find(SandboxPolicy())
        return [
            Seen(end.name, end.isolation, availability, end is chosen)
            for end, availability in zip(self._ends, seen, strict=True)
        ]

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Have what the policy wants ready where it would run."""
        await (await self._choose(policy)).prepare(policy, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run where the policy wants it. Raises Unavailable where that isn't here: what was demanded, what there is."""
        sandbox = await self._choose(run.policy)
        try:
            return await sandbox.run(run, tell)
        except (Unavailable, Temporary) as error:
            self._doubt(sandbox, error)
            raise

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """As `run`, for a service."""
        sandbox = await self._choose(run.policy)
        try:
            return await sandbox.spawn(run, tell)
        except (Unavailable, Temporary) as error:
            self._doubt(sandbox, error)
            raise

    async def release(self, workspace: str) -> None:
        """Tell every back end that was used; what fails doesn't keep the others."""
        await _all(sandbox.release(workspace) for sandbox in self._made.values())

    async def close(self) -> None:
        """Close every back end that was made; what fails doesn't keep the others."""
        self._closed = True
        made, self._made = list(self._made.values()), {}
        await _all(sandbox.close() for sandbox in made)

    # --- choosing ---------------------------------------------------------------------------------

    def _candidates(self, policy: SandboxPolicy) -> list[BackEnd]:
        """Those that a policy may get, the first that is available first."""
        fit = [end for end in self._ends if _fits(end, policy)]
        if policy.kind:
            return [end for end in fit if end.name == policy.kind]
        if set_here := [end for end in fit if end.name == self._kind]:
            return set_here
        return [end for end in fit if end.alone]

    async def _find(self, policy: SandboxPolicy) -> BackEnd | None:
        candidates = self._candidates(policy)
        old = {end.name for end in candidates if end.name in self._seen}
        for end in candidates:
            if (await self._look(end, again=False)).available:
                return end
        for end in candidates:
            if end.name in old and (await self._look(end, again=True)).available:
                return end
        return None

    async def _choose(self, policy: SandboxPolicy) -> Sandbox:
        found = await self._find(policy)
        if found is None:
            none = self._none(policy)
            raise Unavailable(f"There is no sandbox for this here: {none.detail}. To mend it: {none.fix}")
        if found.name not in self._made:
            raise Unavailable(_ENDS)  # it ended while we looked
        return self._made[found.name]

    async def _sandbox(self, end: BackEnd) -> Sandbox:
        if self._closed:
            raise Unavailable(_ENDS)
        if end.name not in self._made:
            # In a thread: making one may read a library from the disk.
            made = await asyncio.to_thread(end.make)
            if self._closed:
                await made.close()
                raise Unavailable(_ENDS)
            self._made[end.name] = made
        return self._made[end.name]

    async def _look(self, end: BackEnd, again: bool) -> Availability:
        async with self._looking[end.name]:
            if again or end.name not in self._seen:
                self._seen[end.name] = await self._ask(end)
            return self._seen[end.name]

    async def _ask(self, end: BackEnd) -> Availability:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await (await self._sandbox(end)).available()
        except TimeoutError:
            return Availability(False, f"it didn't answer in {_LOOK_SECONDS:.0f} s", f"look at what {end.name} needs")
        except AgentHostError as error:
            return Availability(False, error.message, "see docs/sandbox.md")

    def _doubt(self, sandbox: Sandbox, error: Unavailable | Temporary) -> None:
        """After such a failure it is looked at again before it is chosen again."""
        if isinstance(error, Unavailable) or error.code == "sandbox":
            self._seen.pop(next((name for name, made in self._made.items() if made is sandbox), ""), None)

    # --- saying no --------------------------------------------------------------------------------

    def _none(self, policy: SandboxPolicy) -> Availability:
        demands = _demands(policy)
        candidates = self._candidates(policy)
        if not candidates:
            known = ", ".join(f"{end.name} ({_features(end)})" for end in self._ends)
            return Availability(
                False,
                f"{demands} is demanded, and no sandbox here gives that; there are {known}",
                "change the manifest's `sandbox`, or run this on a host that has one",
            )
        # The last is the weakest, and the easiest to get.
        *others, easiest = candidates
        # What was doubted meanwhile will be looked at again.
        gone = Availability(False, "it has just failed", "try again")
        seen = self._seen.get(easiest.name, gone)
        also = "".join(f"; {end.name}: {self._seen.get(end.name, gone).detail}" for end in others)
        detail = f"{seen.detail}{also}"
        return Availability(False, f"{demands} is demanded, and {detail}" if demands else detail, seen.fix)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it, whatever becomes of each. Raises the first failure at the end."""
    for failed in await asyncio.gather(*works, return_exceptions=True):
        if failed is not None:
            raise failed


def _fits(end: BackEnd, policy: SandboxPolicy) -> bool:
    return (
        ISOLATIONS.index(end.isolation) >= ISOLATIONS.index(policy.isolation)
        and (not policy.image or "images" in end.can)
        and (not policy.hosts or "hosts" in end.can)
    )


def _demands(policy: SandboxPolicy) -> str:
    words = [f"kind {policy.kind}"] if policy.kind else []
    words += [f"isolation {policy.isolation}"] if policy.isolation != ISOLATIONS[0] else []
    words += [f"image {policy.image}"] if policy.image else []
    words += [f"network to {', '.join(policy.hosts)}"] if policy.hosts else []
    return " with ".join(words)


def _features(end: BackEnd) -> str:
    return ", ".join([f"isolation {end.isolation}", *sorted(end.can)])
