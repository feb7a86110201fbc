"""Grants "always for this agent and these arguments": what they cover, who keeps them, who may look after them."""

import re
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from agenthost.core.commands import Ask
from agenthost.core.events import Reply
from agenthost.core.tasks import TaskSpec

Use = Literal["used", "again", "gone"]
"""What came of a use: it was noted; it was noted before; the grant was taken back."""


class Rule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one argument must be: `exact`ly `value`, a text `like` the pattern `value`, or `any`thing."""

    match: Literal["exact", "like", "any"] = "exact"
    value: Any = None


class Always(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """That an approval is given for later calls as well. Each argument must be what it is now, but those in `like` (name
    to pattern) and in `any`; with `anything`, every call of the tool is meant. `untrusted`: it also holds where the
    call comes of untrusted content. `note` is kept for people."""

    like: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    any: tuple[str, ...] = ()
    anything: bool = False
    untrusted: bool = False
    note: str = ""


class Grant(Struct, frozen=True, omit_defaults=True):
    """An approval that holds for later calls too: of the tool `tool` by the agent (or workflow) `name`, in tasks of
    `person`. `by`, `via`, `at`: who gave it, over which channel, when (seconds since the epoch). `task` and `question`
    are what it was given for. `uses`: how often it answered; `used`: when last, 0 for never."""

    id: str
    namespace: str
    person: str
    kind: str
    name: str
    tool: str
    by: str
    at: float
    rules: dict[str, Rule] = msgspec.field(default_factory=dict[str, Rule])
    anything: bool = False
    untrusted: bool = False
    via: str = ""
    task: str = ""
    question: str = ""
    note: str = ""
    uses: int = 0
    used: float = 0.0


class GrantUse(Struct, frozen=True):
    """One call that a grant allowed: which task asked, by which question, and that event's number."""

    task: str
    question: str
    seq: int
    at: float


class GrantDetail(Struct, frozen=True, omit_defaults=True):
    """A grant with the newest of its uses, in tasks that are still there."""

    grant: Grant
    uses: tuple[GrantUse, ...] = ()


def rules_of(arguments: dict[str, Any], always: Always) -> dict[str, Rule]:
    """The rules of a grant that is given for these arguments."""
    if always.anything:
        return {}
    return {name: _rule(name, value, always) for name, value in arguments.items()}


def _rule(name: str, value: Any, always: Always) -> Rule:
    if name in always.any:
        return Rule("any")
    return Rule("like", always.like[name]) if name in always.like else Rule("exact", value)


def covers(grant: Grant, arguments: dict[str, Any]) -> bool:
    """Whether a grant holds for a call with these arguments: each has a rule and keeps to it, and none is missing."""
    if grant.anything:
        return True
    return grant.rules.keys() == arguments.keys() and all(
        _keeps(rule, arguments[name]) for name, rule in grant.rules.items()
    )


def _keeps(rule: Rule, value: Any) -> bool:
    if rule.match == "any":
        return True
    if rule.match == "like":
        return isinstance(value, str) and isinstance(rule.value, str) and like(value, rule.value)
    # As JSON: to Python 1 is True, and 1.0 as well.
    encoder = msgspec.json.Encoder(order="sorted")
    return encoder.encode(rule.value) == encoder.encode(value)


def like(text: str, pattern: str) -> bool:
    """Whether a text is like a pattern: `*` is any run of characters within one step of a path, `**` over steps too; where
    the pattern is an address of mail, `*` stands for a part of one such address and not for several.
    Neither goes over a line's end or a control character, and nothing that climbs (`..`) is like a pattern that doesn't."""
    climbs = re.search(r"(?:^|[/\\])(?:\.|%2e){2}(?:[/\\]|$)|%2f|%5c", text, re.IGNORECASE)
    if climbs and climbs[0] not in pattern:
        return False
    pieces = re.split(r"(\*{1,2})", pattern)
    sign = r"@\s,;<>\"'" if "@" in pattern and "/" not in pattern else ""
    one, many = rf"[^/\\{sign}\x00-\x1f\x7f\u2028\u2029]*", r"[^\x00-\x1f\x7f\u2028\u2029]*"
    made = "".join(one if piece == "*" else many if piece == "**" else re.escape(piece) for piece in pieces)
    return re.fullmatch(made, text) is not None


def describe(grant: Grant) -> str:
    """What a grant covers, in words."""
    if grant.anything:
        return "any arguments"
    told = [f"{name} {_told(rule)}" for name, rule in grant.rules.items()]
    return ", ".join(told) or "no arguments"


def _told(rule: Rule) -> str:
    if rule.match == "any":
        return "is anything"
    value = msgspec.json.encode(rule.value).decode()
    short = value if len(value) <= 80 else f"{value[:77]}..."
    return f"{'is like' if rule.match == 'like' else '='} {short}"


class Granting(Protocol):
    """What the engine asks before it asks a person."""

    async def answer(self, spec: TaskSpec, ask: Ask, seq: int) -> Reply | None:
        """The answer that a grant gives to an approval whose question has the number `seq`, None where none holds."""
        ...


class Grants(Protocol):
    """Keeps grants. What it returned for is on disk. Its conformance suite is `agenthost.testing.grants`."""

    async def put(self, grant: Grant) -> None:
        """Keep a new grant; one whose id is there already stays as it is."""
        ...

    async def get(self, id: str) -> Grant | None: ...

    async def of(self, namespace: str, person: str = "") -> list[Grant]:
        """The grants of a namespace (and, for its tasks, of a person), newest first."""
        ...

    async def matching(self, namespace: str, person: str, kind: str, name: str, tool: str) -> list[Grant]:
        """Those for a person's tasks, an agent or a workflow, and a tool, newest first."""
        ...

    async def use(self, id: str, use: GrantUse) -> Use:
        """Note that a grant answers a question, once for each question; nothing is noted of one that is gone."""
        ...

    async def uses(self, id: str, limit: int = 50) -> list[GrantUse]:
        """What it was used for, newest first, in tasks that are still there."""
        ...

    async def delete(self, id: str) -> bool:
        """Take a grant back; False where there is none."""
        ...


class OwnGrants(Protocol):
    """The use-cases, for one caller: a user has those for their own tasks, whoever manages the host has everybody's. All
    raise Forbidden where the caller may not, NotFound for a grant that isn't theirs."""

    async def all(self) -> list[Grant]: ...

    async def show(self, id: str) -> GrantDetail: ...

    async def remove(self, id: str) -> None:
        """Take a grant back, from the next call on."""
        ...
