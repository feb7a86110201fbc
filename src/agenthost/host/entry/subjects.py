"""Who somebody is here whom an OpenID provider has recognized. They are known by its subject, never by an e-mail address."""

import re
import time
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import OWNER, ROLES, Deed, DeedFilter, Person, Role
from agenthost.core.errors import Conflict, Forbidden
from agenthost.host.entry.register import Register
from agenthost.host.entry.settings import OidcSettings

_SUFFIXES = 20


class Recognized(Struct, frozen=True):
    """What a provider said: its name here, the settings that hold for it, and the claims."""

    provider: str
    settings: OidcSettings
    claims: dict[str, Any]

    @property
    def subject(self) -> str:
        """Issuer and subject, as a person keeps them."""
        return f"{self.settings.issuer} {self.claims['sub']}"


async def admitted(found: Recognized, register: Register, address: str) -> Person:
    """The person that they are, added where the settings allow. Raises Forbidden where they may not come in."""
    person = await register.accounts.person_of(found.subject)
    if person is not None and person.disabled:
        raise Forbidden("you may not use this host any more; ask its owner")
    _need_place(found)
    role = _role(found)
    if person is None:
        if role is None:
            raise Forbidden(
                "nobody here has this account; ask the host's owner to add you with it (`agenthost people add --subject`)"
            )
        return await _added(found, role, register, address)
    if found.settings.roles and person.id != OWNER and role is None:
        raise Forbidden("your account is in no group that gives a role here any more; ask the host's owner")
    if found.settings.roles and person.id != OWNER and role != person.role:
        person = await register.change(person.id, lambda now: replace(now, role=cast("Role", role)))
        await _note(register, "person.change", f"{person.id} role={role}", found, address)
    return person


def _need_place(found: Recognized) -> None:
    """Raises Forbidden where the settings let only some come in, and this isn't one of them."""
    settings, claims = found.settings, found.claims
    if settings.domains:
        _, _, domain = str(claims.get("email", "")).rpartition("@")
        wanted = {name.lower().lstrip("@") for name in settings.domains}
        if claims.get("email_verified") is not True or domain.lower() not in wanted:
            raise Forbidden(
                "your account has no verified e-mail address of a domain that may come in; ask the host's owner"
            )
    if settings.groups and not _groups(found) & set(settings.groups):
        raise Forbidden("your account is in no group that may come in; ask the host's owner")


def _role(found: Recognized) -> Role | None:
    """The role by the settings: the highest of those that their groups give, else the one of all."""
    given: list[Role] = [found.settings.roles[group] for group in _groups(found) & set(found.settings.roles)]
    return min(given, key=ROLES.index) if given else found.settings.role


def _groups(found: Recognized) -> set[str]:
    told = found.claims.get(found.settings.groups_claim)
    return {str(each) for each in cast("list[Any]", told)} if isinstance(told, list) else set()


async def _added(found: Recognized, role: Role, register: Register, address: str) -> Person:
    claims = found.claims
    wish = str(claims.get("preferred_username") or claims.get("email") or "").partition("@")[0].lower()
    wish = re.sub(r"[^a-z0-9._-]+", "-", wish).strip("-._")[:40] or found.provider.lower()
    name = "".join(char for char in str(claims.get("name", ""))[:200] if char.isprintable())
    for number in range(1, _SUFFIXES + 1):
        id = wish if number == 1 else f"{wish}-{number}"
        if await _was(id, register):
            continue
        person = Person(id, role, time.time(), name, subject=found.subject)
        try:
            await register.add(person)
        except Conflict:
            same = await register.accounts.person_of(found.subject)
            if same is not None:  # they came twice at once
                return same
            continue
        await _note(register, "person.add", f"{id} {role}", found, address)
        return person
    raise Forbidden(f"every id like '{wish}' is somebody's; ask the host's owner to add you")


async def _was(id: str, register: Register) -> bool:
    gone = await register.accounts.deeds(DeedFilter(what="person.delete", thing=id, limit=20))
    return id == OWNER or any(deed.outcome == "done" for deed in gone)


async def _note(register: Register, what: str, thing: str, found: Recognized, address: str) -> None:
    await register.accounts.note([Deed(time.time(), "", what, thing, f"oidc:{found.provider}", address)])
