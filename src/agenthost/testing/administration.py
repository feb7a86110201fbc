"""People and keys in memory, with what looks after them as in a real host."""

from agenthost.core.access import OWNER, Caller, Key, Person
from agenthost.core.administration import Administration
from agenthost.host.administrator import Administrator
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.register import Register
from agenthost.host.entry.secrets import digest_of
from agenthost.host.entry.settings import AccessSettings
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts

KEY = "k0123456789a"
"""The id of a key of the owner's."""


async def administration(caller: Caller | None = None) -> Administration:
    """For somebody (the owner), with a user `ann` and a key of the owner's."""
    accounts = MemoryAccounts(MemoryStore())
    for person in (Person(OWNER, "owner", 1.0, "Owner"), Person("ann", "user", 2.0, "Ann")):
        await accounts.put_person(person)
    await accounts.put_key(Key(KEY, OWNER, digest_of("a secret of the owner's"), 3.0, "laptop", ("read", "work")))
    return Administrator(caller or Caller(), Entrance(Register(accounts), AccessSettings()), _nothing_to_cancel)


async def _nothing_to_cancel(person: Person, by: str, why: str) -> None:
    return None
