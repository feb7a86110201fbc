"""Making a back-up, beside the host that works."""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.stores.backups import archive, home
from agenthost.stores.backups.archive import Head, Part, Say, Writer
from agenthost.stores.durable import disk_errors, fsync_folder, replace_file
from agenthost.stores.sqlite import snapshot

SUFFIX = ".agenthost.tar.gz"
_STALE = 24 * 3600.0
_KEPT_RECORDS = 50
_MOST_SCANNED = 64 << 20
"""Bytes of an event that was put aside, which is read into memory for the files that it names."""


class Made(Struct, frozen=True, omit_defaults=True):
    """A back-up that was made: where, how large (bytes), what it is, and what the home didn't have of it."""

    file: str
    size: int
    head: Head
    missing: tuple[str, ...] = ()


class Wanted(Struct, frozen=True):
    """What is to be backed up: the home, whether with its secrets, and which version of AgentHost does it."""

    home: Path
    version: str
    secrets: bool = True


def create(wanted: Wanted, target: Path, say: Say) -> Made:
    """Make a back-up at `target` (a file that isn't there yet, or a folder), and read it whole before it has its name.

    What is in it is one moment: that at which the copying of the database began. Raises BadInput, StoreDamaged,
    Temporary (`disk-full`).
    """
    made = time.time()
    target = _target(target, made)
    with disk_errors(target.parent):
        _sweep(target.parent)
        part = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
        copied = part.with_suffix(".db")
        try:
            snapshot.copy(
                wanted.home / home.DATABASE, copied, lambda done, total: say("copying the database", done, total)
            )
            head, missing = _write(wanted, copied, part, made, say)
            archive.read(part, lambda _, done, total: say("checking", done, total))
            _name(part, target)
        finally:
            for left in (part, copied):
                left.unlink(missing_ok=True)
    found = Made(str(target), target.stat().st_size, head, missing)
    _note(wanted.home, home.Noted(found.file, made))
    return found


def prune(folder: Path, newest: Path, keep: int) -> list[str]:
    """Remove this home's older back-ups beside `newest`, but for the `keep` newest; those that were removed."""
    own: list[tuple[float, Path]] = []
    for path in newest.parent.glob(f"*{SUFFIX}"):
        with suppress(AgentHostError):
            head = archive.head(path)
            if head.home == str(folder):
                own.append((head.made, path))
    removed = [path for _, path in sorted(own, reverse=True)[keep:]]
    for path in removed:
        path.unlink(missing_ok=True)
    return [str(path) for path in removed]


def _target(target: Path, made: float) -> Path:
    target = target.absolute()
    if target.is_dir():
        target /= time.strftime("%Y%m%d-%H%M%S", time.gmtime(made)) + SUFFIX
    if target.exists():
        raise BadInput(f"{target} is there already; name another file, or a folder")
    if not target.parent.is_dir():
        raise BadInput(f"there is no folder {target.parent}; make it, or name another")
    return target


def _name(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise BadInput(f"{target} came to be meanwhile; name another file") from error
    except OSError:
        # A file system without links. Nobody else had the name a moment ago.
        os.replace(part, target)
    fsync_folder(target.parent)


def _sweep(folder: Path) -> None:
    """Remove what killed back-ups left."""
    for left in folder.glob(f".*{SUFFIX}.*"):
        with suppress(OSError):
            if left.suffix in (".part", ".db") and left.stat().st_mtime < time.time() - _STALE:
                left.unlink()


def _write(wanted: Wanted, copied: Path, part: Path, made: float, say: Say) -> tuple[Head, tuple[str, ...]]:
    facts = snapshot.facts(copied)
    kept, held, out = _own_files(wanted)
    blobs, missing = _blobs(wanted.home / "blobs", copied, say)
    total = copied.stat().st_size + sum(map(len, kept.values())) + sum(blobs.values())
    head = Head(
        made,
        wanted.version,
        str(wanted.home),
        facts.format,
        facts.tasks,
        facts.unfinished,
        len(kept) + len(blobs) + 1,
        total,
        held,
        tuple(out),
    )
    lost = set(missing)
    with archive.writing(part, made) as writer:
        writer.words(archive.HEAD, msgspec.json.encode(head))
        with copied.open("rb") as file:
            writer.file(home.DATABASE, file, archive.part_of(file))
        for path, content in kept.items():
            writer.words(f"home/{path}", content)
        done = total - sum(blobs.values())
        for digest, size in blobs.items():
            if not _add_blob(writer, wanted.home / "blobs", digest, size):
                lost.add(digest)
            done += size
            say("packing", done, total)
        writer.end(tuple(sorted(lost)))
    return head, tuple(sorted(lost))


def _own_files(wanted: Wanted) -> tuple[dict[str, bytes], bool, list[str]]:
    """The home's own files, whether secrets are among them, and what was left out."""
    kept: dict[str, bytes] = {}
    held, out = False, home.left_out(wanted.home)
    for path in home.files(wanted.home):
        try:
            content = (wanted.home / path).read_bytes()
        except OSError as error:
            out.append(f"{path}: it can't be read ({error.strerror})")
            continue
        secret = home.is_secret(path, content)
        if secret and not wanted.secrets:
            out.append(f"{path}: it is a secret, or holds one")
            continue
        held = held or secret
        kept[path] = content
    return kept, held, out


def _blobs(root: Path, copied: Path, say: Say) -> tuple[dict[str, int], list[str]]:
    """The files that the database names, digest to size, and those of them that must be there and aren't."""
    named = snapshot.named(copied, lambda done, total: say("looking for files", done, total))
    mentioned = set(named.mentioned)
    for digest in named.shelved:
        path = _path(root, digest)
        if path.is_file() and path.stat().st_size <= _MOST_SCANNED:
            mentioned.update(found.decode() for found in snapshot.DIGEST.findall(path.read_bytes()))
    sizes: dict[str, int] = {}
    missing: list[str] = []
    for digest in sorted(named.needed | mentioned):
        try:
            sizes[digest] = _path(root, digest).stat().st_size
        except FileNotFoundError:
            if digest in named.needed:
                missing.append(digest)
    return sizes, missing


def _add_blob(writer: Writer, root: Path, digest: str, size: int) -> bool:
    """Add a file by its content hash; False where it is gone, or has another content."""
    path = _path(root, digest)
    try:
        with path.open("rb") as file:
            if (part := archive.part_of(file)) != Part(size, digest[7:]):
                return False
            writer.file(f"blobs/{digest[7:9]}/{digest[9:]}", file, part)
            return True
    except FileNotFoundError:
        return False


def _path(root: Path, digest: str) -> Path:
    return root / digest[7:9] / digest[9:]


def _note(folder: Path, made: home.Noted) -> None:
    """Have the home remember. One that can't be written to is backed up all the same."""
    with suppress(OSError):
        kept = [made, *home.noted(folder)][:_KEPT_RECORDS]
        replace_file(folder / home.RECORD, msgspec.json.encode(kept), 0o600)
