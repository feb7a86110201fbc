"""Gives grants with answers, and answers approvals by them."""

import secrets
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from agenthost.core.access import Accounts, Deed
from agenthost.core.api import OpenQuestion
from agenthost.core.commands import Ask
from agenthost.core.errors import Unusable, nearest
from agenthost.core.events import Reply
from agenthost.core.grants import Always, Grant, Grants, GrantUse, covers, describe, rules_of
from agenthost.core.questions import APPROVE, GRANT, agrees, may_answer
from agenthost.core.tasks import TaskRow, TaskSpec

MOST_TEXT = 1000
"""Characters of a note or a pattern."""


class Giver(Struct, frozen=True):
    """Who gives a grant, and over which channel."""

    by: str
    via: str


class Book:
    """Fulfils core.grants.Granting. `redact` takes secrets out of what is compared and kept, as the journal does."""

    def __init__(
        self,
        grants: Grants,
        accounts: Accounts,
        redact: Callable[[bytes], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._grants = grants
        self._accounts = accounts
        self._redact = redact
        self._clock = clock

    async def answer(self, spec: TaskSpec, ask: Ask, seq: int) -> Reply | None:
        found = await self._grants.matching(spec.namespace, spec.person, spec.kind, spec.name, ask.tool)
        if not found:
            return None
        arguments = msgspec.json.decode(self._redact(msgspec.json.encode(ask.arguments)))
        for grant in found:
            if (ask.untrusted and not grant.untrusted) or not covers(grant, arguments):
                continue
            if not await self._may(grant, ask, spec.person):
                continue
            use = GrantUse(spec.id, ask.id, seq, self._clock())
            came = await self._grants.use(grant.id, use)
            if came == "gone":
                continue
            if came == "used":
                thing = f"{grant.id} {spec.id}#{seq} {ask.tool}"
                note = Deed(use.at, grant.by, "grant.use", thing[:500], f"{GRANT}{grant.id}", namespace=spec.namespace)
                await self._accounts.note([note])
            return Reply(APPROVE, f"{GRANT}{grant.id}", "grant")
        return None

    async def _may(self, grant: Grant, ask: Ask, requester: str) -> bool:
        """Whether who gave a grant could answer now: it is worth no more than their own word."""
        person = await self._accounts.person(grant.by)
        if person is None or person.disabled:
            return False
        if ask.by:
            return may_answer(ask.by, person.id, person.role, requester)
        return person.id == requester or person.role in ("owner", "operator")

    async def give(self, question: OpenQuestion, row: TaskRow, always: Always, giver: Giver) -> str:
        """Keep the grant that was given with an answer, which `check` let through; its id."""
        ask = question.ask
        at = self._clock()
        grant = Grant(
            f"gr_{secrets.token_hex(8)}",
            row.namespace,
            row.person,
            row.kind,
            row.name,
            ask.tool,
            giver.by,
            at,
            rules_of(ask.arguments, always),
            always.anything,
            always.untrusted,
            giver.via,
            row.id,
            ask.id,
            always.note,
        )
        await self._grants.put(grant)
        thing = f"{grant.id} {grant.kind}/{grant.name} {grant.tool}: {describe(grant)}"
        await self._accounts.note([Deed(at, giver.by, "grant.give", thing[:500], giver.via, namespace=row.namespace)])
        return grant.id


def check(ask: Ask, text: str, always: Always) -> None:
    """Whether a grant can be given with this answer. Raises Unusable."""
    if ask.kind != "approval" or not ask.tool:
        raise Unusable("only an approval can be given for good; this question wants an answer each time")
    if not agrees(text):
        raise Unusable("only a yes can be given for good; leave `always` out to refuse this call")
    if ask.untrusted and not always.untrusted:
        raise Unusable(
            "this approval is asked because the call comes of untrusted content, where a grant holds only if it says so: give "
            "it with `untrusted`, or answer this one alone"
        )
    for name in (*always.like, *always.any):
        if name not in ask.arguments:
            raise Unusable(f"the call has no argument '{name}'. {nearest(name, list(ask.arguments))}")
    if always.anything and (always.like or always.any):
        raise Unusable("`anything` means every call of the tool; leave out `like` and `any`, or leave it out")
    for name, pattern in always.like.items():
        if not isinstance(ask.arguments[name], str):
            raise Unusable(
                f"the argument '{name}' is no text, so no pattern fits it; name it in `any`, or leave it exact"
            )
        if not pattern or len(pattern) > MOST_TEXT:
            raise Unusable(f"the pattern of '{name}' must have 1 to {MOST_TEXT} characters")
    if len(always.note) > MOST_TEXT:
        raise Unusable(f"the note is longer than {MOST_TEXT} characters; say it shorter")
