"""Secrets by name in `HOME/secrets.json`, each sealed with AES-256-GCM by the key in `HOME/secret.key`."""

import asyncio
import base64
import binascii
import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from agenthost.core.errors import NewerVersion, StoreDamaged, Unusable
from agenthost.stores.durable import disk_errors, fsync_folder, replace_file, write_temporary

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LONGEST = 64 * 1024
_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D: 96 bits, drawn at random for each value


class _File(Struct, omit_defaults=True):
    """What is on disk: for each name the nonce and the sealed value, in base 64."""

    version: int = 1
    secrets: dict[str, str] = {}


def check_name(name: str) -> None:
    """Raises BadInput where `name` can't be a secret's."""
    if not _NAME.fullmatch(name):
        raise Unusable(f"'{name[:80]}' can't name a secret; use A-Z, a-z, 0-9, _ and -, at most 128 characters")


def check_value(name: str, value: str) -> None:
    """Raises BadInput where `value` can't be kept. Its message never holds the value."""
    if not value:
        raise Unusable(f"the value of the secret '{name}' is empty; give a value, or delete the secret")
    if len(value) > _LONGEST:
        raise Unusable(f"the value of the secret '{name}' is longer than {_LONGEST // 1024} KB; give a shorter one")


class FileSecrets:
    """The port Secrets on two files of the home, both readable by their owner only.

    The name is sealed with the value, so that nobody can swap two values in the file. Several
    processes may use one home: a change is made under a lock and in one step.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._key_file = home / "secret.key"
        self._file = home / "secrets.json"

    def __repr__(self) -> str:
        return f"FileSecrets({str(self._home)!r})"

    async def set(self, name: str, value: str) -> None:
        """Keep a secret. Raises BadInput, StoreDamaged, Temporary (`disk-full`), Unavailable."""
        check_name(name)
        check_value(name, value)
        await asyncio.to_thread(self._set, name, value)

    async def get(self, name: str) -> str | None:
        """The value, None where there is none. Raises StoreDamaged."""
        check_name(name)
        return await asyncio.to_thread(self._get, name)

    async def delete(self, name: str) -> bool:
        """Forget a secret; False where there was none."""
        check_name(name)
        return await asyncio.to_thread(self._delete, name)

    async def names(self) -> list[str]:
        """The names, sorted."""
        return sorted((await asyncio.to_thread(self._read)).secrets)

    def _set(self, name: str, value: str) -> None:
        with self._changing():
            kept = self._read()
            key = self._key(make=not kept.secrets)
            for other, sealed in kept.secrets.items():
                self._open(key, other, sealed)
                break  # one is enough to see that the key is the one that sealed this file
            kept.secrets[name] = self._seal(key, name, value)
            self._write(kept)

    def _get(self, name: str) -> str | None:
        sealed = self._read().secrets.get(name)
        return None if sealed is None else self._open(self._key(make=False), name, sealed)

    def _delete(self, name: str) -> bool:
        with self._changing():
            kept = self._read()
            if name not in kept.secrets:
                return False
            del kept.secrets[name]
            self._write(kept)
            return True

    @contextmanager
    def _changing(self) -> Generator[None, None, None]:
        with disk_errors(self._home):
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._home / "secrets.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

    def _read(self) -> _File:
        try:
            body = self._file.read_bytes()
        except FileNotFoundError:
            return _File()
        try:
            kept = msgspec.json.decode(body, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise StoreDamaged(
                f"{self._file} can't be read: it is damaged; bring it back from a backup, or delete it and set "
                "each secret again"
            ) from None
        if kept.version > 1:
            raise NewerVersion(f"{self._file} was written by a newer AgentHost; upgrade this one to read it")
        return kept

    def _write(self, kept: _File) -> None:
        replace_file(self._file, msgspec.json.format(msgspec.json.encode(kept)), 0o600)

    def _key(self, make: bool) -> bytes:
        try:
            key = self._key_file.read_bytes()
        except FileNotFoundError:
            if not make:
                raise StoreDamaged(
                    f"the key {self._key_file} is missing, and {self._file} can't be read without it; bring the key "
                    f"back from a backup, or delete {self._file} and set each secret again"
                ) from None
            key = self._make_key()
        if len(key) != _KEY_BYTES:
            raise StoreDamaged(
                f"the key {self._key_file} is damaged ({len(key)} bytes where {_KEY_BYTES} belong); bring it back "
                f"from a backup, or delete it and {self._file} and set each secret again"
            )
        return key

    def _make_key(self) -> bytes:
        # A link appears whole or not at all, and never over a key that is there.
        temporary = write_temporary(self._home, os.urandom(_KEY_BYTES), 0o600)
        try:
            with suppress(FileExistsError):
                os.link(temporary, self._key_file)
        finally:
            temporary.unlink()
        fsync_folder(self._home)
        return self._key_file.read_bytes()

    def _seal(self, key: bytes, name: str, value: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, value.encode("utf-8", "surrogatepass"), name.encode())
        return base64.b64encode(nonce + sealed).decode()

    def _open(self, key: bytes, name: str, sealed: str) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.b64decode(sealed, validate=True)
            value = AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode())
        except (binascii.Error, InvalidTag, ValueError):
            raise StoreDamaged(
                f"the secret '{name}' can't be opened: {self._key_file} is not the key that sealed it, or "
                f"{self._file} is damaged; bring both back from one backup, or delete {self._file} and set each "
                "secret again"
            ) from None
        return value.decode("utf-8", "surrogatepass")


class MemorySecrets:
    """The port Secrets on a dictionary: the twin for tests and for work that leaves nothing."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"MemorySecrets({len(self._values)} secrets)"

    async def set(self, name: str, value: str) -> None:
        """Keep a secret. Raises BadInput."""
        check_name(name)
        check_value(name, value)
        self._values[name] = value

    async def get(self, name: str) -> str | None:
        """The value, None where there is none."""
        check_name(name)
        return self._values.get(name)

    async def delete(self, name: str) -> bool:
        """Forget a secret; False where there was none."""
        check_name(name)
        return self._values.pop(name, None) is not None

    async def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._values)
