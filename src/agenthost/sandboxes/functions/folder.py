"""The workspace's folder: what of it is sent, and how an answer is written back. No link in it is followed."""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from agenthost.core.errors import BadInput
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.sandboxes.functions.frames import Answer, CameFile, SentFile, bad
from agenthost.sandboxes.inside.tree import empty

MOST_FILES = 20_000
MOST_PATH = 1024
LIMITS = ("", "time", "memory", "disk", "processes", "output")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Packed:
    """What is sent of a workspace: folders, files and their contents, by `most` bytes."""

    def __init__(self, root: Path, most: int) -> None:
        self.folders: list[str] = []
        self.files: list[SentFile] = []
        self.contents: list[bytes] = []
        self._room = most
        self._most = most
        top = os.open(root, _FOLDER)
        try:
            for place, names, files, handle in os.fwalk(".", dir_fd=top):
                before = "" if place == "." else place.removeprefix("./") + "/"
                # What has no plain name isn't sent, and stays. A link to a folder stands among the folders; it isn't gone into.
                names[:] = filter(_plain, names)
                self.folders += (
                    before + name
                    for name in sorted(names)
                    if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
                )
                for name in sorted(filter(_plain, files)):
                    self._add(before + name, name, handle)
        finally:
            os.close(top)

    def _add(self, path: str, name: str, folder: int) -> None:
        try:
            handle = os.open(name, _FILE, dir_fd=folder)
        except OSError:
            return  # a link, a socket, or gone
        with open(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                return
            content = file.read(self._room + 1)
        self._room -= len(content)
        if self._room < 0 or len(self.files) >= MOST_FILES:
            raise BadInput(
                f"The workspace is too large for the sandbox functions: a request has at most {self._most} bytes and "
                f"{MOST_FILES} files (https://cloud.google.com/functions/quotas). Delete files, or use another sandbox."
            )
        executable = bool(mode & 0o111) or content[:2] == b"#!" or content[:4] == b"\x7fELF"
        self.files.append(SentFile(path, len(content), hashlib.sha256(content).hexdigest(), executable))
        self.contents.append(content)


def check(answer: Answer, content: memoryview, sent: Packed, most: int) -> tuple[SandboxOutcome, dict[str, memoryview]]:
    """The outcome, and the changed files' contents by path; `most` bytes of each output may come. Raises Permanent (`bad-answer`) where anything is wrong with
    paths, sizes or hashes; nothing is written before all of it was looked at."""
    before = {file.path: file.sha256 for file in sent.files}
    if min(answer.stdout, answer.stderr, answer.cut) < 0 or len(answer.files) + len(answer.folders) > 2 * MOST_FILES:
        raise bad("it has sizes below nothing, or too many files")
    if max(answer.stdout, answer.stderr) > most or not 0 <= answer.exit < 256 or answer.limit not in LIMITS:
        raise bad("it has more output than the run may have, or an end that can't be")
    at = answer.stdout + answer.stderr
    changed: dict[str, memoryview] = {}
    known: set[str] = set()
    for file in answer.files:
        if file.path in known:
            raise bad(f"it has the file {file.path!r} twice")
        _check_path(file.path)
        known.add(file.path)
        if not file.changed:
            if before.get(file.path) != file.sha256:
                raise bad(f"it says that {file.path!r} is as it was, with another hash")
            continue
        at = _take(file, content, at, changed)
    if at != len(content):
        raise bad("its length is not what its head says")
    folders = set(answer.folders)
    for path in folders:
        _check_path(path)
    for path in known | folders:
        parent = path.rpartition("/")[0]
        if path in known and path in folders or parent in known or (parent and parent not in folders):
            raise bad(f"{path!r} lies in no folder of it, or is a folder and a file")
    out, err = bytes(content[: answer.stdout]), bytes(content[answer.stdout : answer.stdout + answer.stderr])
    return SandboxOutcome(answer.exit, out, err, answer.duration, answer.limit, answer.cut), changed


def _take(file: CameFile, content: memoryview, at: int, changed: dict[str, memoryview]) -> int:
    if file.size < 0 or at + file.size > len(content):
        raise bad(f"the file {file.path!r} is cut off")
    body = content[at : at + file.size]
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise bad(f"the file {file.path!r} has another hash than it says")
    changed[file.path] = body
    return at + file.size


def _check_path(path: str) -> None:
    parts = path.split("/")
    if (
        not path
        or len(path.encode("utf-8", "replace")) > MOST_PATH
        or any(not part or part in (".", "..") or not _plain(part) for part in parts)
    ):
        raise bad(f"the path {path[:100]!r} is none of a workspace's")


def _plain(name: str) -> bool:
    """Whether a name is text without control characters, of a length that folders take."""
    try:
        return len(name.encode()) <= 255 and all(ord(letter) >= 32 for letter in name)
    except UnicodeEncodeError:
        return False


def apply(root: Path, answer: Answer, changed: dict[str, memoryview], sent: Packed) -> None:
    """Make the folder what the checked answer says: write what changed, remove what is gone."""
    top = os.open(root, _FOLDER)
    try:
        stays = {file.path for file in answer.files}
        folders = set(answer.folders)
        for path in sorted((file.path for file in sent.files if file.path not in stays), reverse=True):
            _remove(top, path)
        for path in sorted((path for path in sent.folders if path not in folders), reverse=True):
            _remove(top, path)
        for path in sorted(folders):
            os.close(_open(top, path))
        for path, content in changed.items():
            _write(top, path, content)
    finally:
        os.close(top)


def _open(top: int, path: str) -> int:
    """A folder beneath `top`, made where it isn't one; whatever else bears its name gives way."""
    handle = os.dup(top)
    for part in path.split("/") if path else []:
        try:
            below = _step(handle, part)
        finally:
            os.close(handle)
        handle = below
    return handle


def _step(folder: int, name: str) -> int:
    for _ in range(2):
        try:
            return os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            pass
        except OSError:
            os.unlink(name, dir_fd=folder)  # a link or a file
        os.mkdir(name, 0o777, dir_fd=folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _remove(top: int, path: str) -> None:
    parent, _, name = path.rpartition("/")
    handle = _open(top, parent)
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=handle)
        else:
            os.unlink(name, dir_fd=handle)
    except OSError:
        return  # it is gone, or holds something that was not sent and stays
    finally:
        os.close(handle)


def _empty(name: str, parent: int) -> None:
    handle = os.open(name, _FOLDER, dir_fd=parent)
    try:
        empty(handle)
    finally:
        os.close(handle)


def _write(top: int, path: str, content: memoryview) -> None:
    parent, _, name = path.rpartition("/")
    folder = _open(top, parent)
    try:
        with contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(name, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                _empty(name, folder)  # it may hold what was never sent
                os.rmdir(name, dir_fd=folder)
        mode = 0o777 if bytes(content[:2]) == b"#!" or bytes(content[:4]) == b"\x7fELF" else 0o666
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder)
        with open(handle, "wb") as file:
            file.write(content)
            os.fchmod(handle, mode)  # open to any user id of another sandbox, whatever our umask
    finally:
        os.close(folder)
