"""Passwords as argon2id hashes. The one door to argon2.

A hash takes 64 MiB and a tenth of a second of a core (RFC 9106, section 4, the second recommended option: `t=3`,
`p=4`), so that few are made at once, few more may wait, and the rest is told to come again.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from agenthost.core.errors import Unusable
from agenthost.wire.tries import too_many

if TYPE_CHECKING:  # most hosts never see a password
    from argon2 import PasswordHasher

T = TypeVar("T")

AT_ONCE = 2
WAITING = 16
LONGEST = 1024
"""Characters of a password; a hash of more would cost for nothing."""


class Passwords:
    """Makes and checks hashes, in threads."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._here = 0
        self._hasher: PasswordHasher | None = None
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """A password as it is kept. Raises Temporary where too many are made at once."""
        return await self._in_turn(lambda hasher: hasher.hash(_one_form(password)))

    async def check(self, kept: str, password: str) -> bool:
        """Whether a password is the one that is kept. Where none is (an empty `kept`) the work is the same, and the answer no.

        Raises Temporary where too many are checked at once."""
        from argon2.exceptions import Argon2Error, InvalidHashError

        def matches(hasher: "PasswordHasher") -> bool:
            try:
                return hasher.verify(kept or self._nobody, _one_form(password))
            except (Argon2Error, InvalidHashError):
                return False

        if len(password) > LONGEST:
            password = ""
        return await self._in_turn(matches) and bool(kept)

    def is_old(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than new ones are."""
        return self._hasher is not None and self._hasher.check_needs_rehash(kept)

    async def _in_turn(self, work: "Callable[[PasswordHasher], T]") -> T:
        if self._here >= AT_ONCE + WAITING:
            raise too_many("too many people sign in at once", 2)
        self._here += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(lambda: work(self._ready()))
        finally:
            self._here -= 1

    def _ready(self) -> "PasswordHasher":
        if self._hasher is None:
            from argon2 import PasswordHasher

            made = PasswordHasher()
            self._nobody = made.hash(secrets.token_urlsafe(16))
            self._hasher = made
        return self._hasher


def check_password(password: str, least: int, person: str) -> None:
    """Raises BadInput for a password that may not be set. Its message never holds the password."""
    if len(password) < least:
        raise Unusable(f"a password has at least {least} characters; choose a longer one, such as several words")
    if len(password) > LONGEST:
        raise Unusable(f"a password has at most {LONGEST} characters; choose a shorter one")
    if len(set(password)) < 4 or person.lower() in password.lower() and len(password) < len(person) + 6:
        raise Unusable("that password is easily guessed; choose another, such as several words")


def _one_form(password: str) -> bytes:
    # Keyboards write one character in several ways (RFC 8265, section 4.2).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
