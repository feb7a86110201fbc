"""One run in a folder of its own, from the request to the answer. Nothing of it is left afterwards."""

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import frames
import watch

MOST_ANSWER = 31 * 1000 * 1000
"""Bytes of all contents of an answer; the platform takes 32 MB with its head."""
MOST_ENTRIES, MOST_HEAD, MOST_PATH = 40_000, 8 * 1024 * 1024, 1024
"""Files and folders of an answer, bytes of its head and of a path: what the caller takes."""
_KILLED = 137
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36
_RUNNER = str(Path(__file__).with_name("runner.py"))
_ON_PLATFORM = "K_SERVICE" in os.environ


class NotRun(Exception):
    """The run can't be made, or its result not be told; `status` is HTTP's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


_STARTING = threading.Lock()
_RUNNERS: set[int] = set()


def guard() -> None:
    """Keep runs from reading this process's memory and first environment, and take in what a run leaves behind. For
    every process anew: the second isn't inherited."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def facts() -> dict[str, Any]:
    """What a caller may want to know before it sends anything."""
    return {"python": sys.version.split()[0], "cpus": os.cpu_count() or 1}


def perform(head: dict[str, Any], content: memoryview) -> bytes:
    """Run what the request says; the answer as a frame."""
    guard()
    base = Path(tempfile.mkdtemp(prefix="agenthost-run-"))
    try:
        work, tmp = base / "workspace", base / "tmp"
        base.chmod(0o711)  # a run may be a user of its own
        work.mkdir()
        tmp.mkdir()
        try:
            stdin, sent = _unpack(head, content, work)
            outcome = _Run(head, work, tmp).outcome(stdin)
        except (KeyError, TypeError, ValueError) as error:
            raise NotRun(400, "bad-request", f"the request makes no sense: {error!r}") from error
        except OSError as error:
            raise NotRun(507, "disk", f"the function's disk (its memory) didn't take it: {error}") from error
        try:
            return _pack(outcome, work, sent)
        except NotRun:
            if not outcome["limit"]:
                raise
            return _as_it_was(outcome, head)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        _sweep()


def _unpack(head: dict[str, Any], content: memoryview, work: Path) -> tuple[bytes, dict[str, str]]:
    """Write what was sent; stdin, and the files' hashes by path."""
    at = int(head["stdin"])
    stdin, sent = bytes(content[:at]), {}
    for folder in head["folders"]:
        _below(work, folder).mkdir(parents=True, exist_ok=True)
    for file in head["files"]:
        body = content[at : at + int(file["size"])]
        at += len(body)
        if len(body) != file["size"] or hashlib.sha256(body).hexdigest() != file["sha256"]:
            raise ValueError(f"{file['path']} came with another content than its hash says")
        path = _below(work, file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as out:
            out.write(body)
        os.chmod(path, 0o755 if file["executable"] else 0o644)
        sent[file["path"]] = file["sha256"]
    if at != len(content):
        raise ValueError("more content came than its head tells")
    return stdin, sent


def _below(work: Path, path: str) -> Path:
    if not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"the path {path!r} leaves the workspace")
    return work / path


class _Run:
    """One subprocess tree, its output and its limits."""

    def __init__(self, head: dict[str, Any], work: Path, tmp: Path) -> None:
        self._head = head
        self._limits = head["limits"]
        self._work = work
        self._tmp = tmp
        self._limit = ""
        self._before = watch.size(work)

    def outcome(self, stdin: bytes) -> dict[str, Any]:
        """Run to the end."""
        status_in, status_out = os.pipe()
        words = [sys.executable, "-I", _RUNNER, json.dumps(self._order(status_out))]
        began = time.monotonic()
        with _start(words, self._work, status_out) as runner:
            os.close(status_out)
            most = int(self._limits["output"])
            streams = [watch.Collector(most, self._too_much) for _ in range(2)]
            threads = [
                threading.Thread(target=streams[0].read, args=(runner.stdout,)),
                threading.Thread(target=streams[1].read, args=(runner.stderr,)),
                threading.Thread(target=watch.feed, args=(runner.stdin, stdin)),
            ]
            for thread in threads:
                thread.start()
            try:
                self._watch(runner, began)
            finally:
                watch.kill_below(runner.pid)
                _RUNNERS.discard(runner.pid)
                _end_strays()
                for thread in threads:
                    thread.join(20)
                told = os.read(status_in, 4096)
                os.close(status_in)
        return self._told(told, streams, time.monotonic() - began)

    def _order(self, status: int) -> dict[str, Any]:
        head, base = self._head, self._tmp
        env = {
            "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(base),
            "TMPDIR": str(base),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            **dict(head["env"]),
        }
        cwd = str(_below(self._work, head["cwd"])) if head["cwd"] else str(self._work)
        own = [str(self._work), str(self._tmp)]
        return {"argv": head["argv"], "env": env, "cwd": cwd, "status": status, "own": own, **self._limits}

    def _watch(self, runner: "subprocess.Popen[bytes]", began: float) -> None:
        """Until it has ended, or a limit ends it. Disk is looked at less often, as that takes longer."""
        limits, looked = self._limits, 0.0
        while runner.poll() is None:
            now = time.monotonic()
            below = watch.of_run(runner.pid)
            if now - began > limits["timeout"]:
                self._limit = self._limit or "time"
            elif sum(map(watch.memory, below)) > limits["memory"]:
                self._limit = self._limit or "memory"
            elif len(below) > limits["processes"]:
                self._limit = self._limit or "processes"
            elif now - looked > 0.2:
                looked = now
                if self._grown() > limits["disk"]:
                    self._limit = self._limit or "disk"
            if self._limit:
                watch.kill_below(runner.pid)
            time.sleep(0.03)

    def _grown(self) -> int:
        return watch.size(self._work) + watch.size(self._tmp) - self._before

    def _too_much(self) -> None:
        self._limit = self._limit or "output"

    def _told(self, told: bytes, streams: list["watch.Collector"], duration: float) -> dict[str, Any]:
        answer = json.loads(told) if told else {}
        if "error" in answer:
            raise NotRun(500, "runner", answer["error"])
        if self._grown() > self._limits["disk"]:
            self._limit = self._limit or "disk"
        code = _KILLED if self._limit else answer.get("exit", _KILLED)
        (stdout, cut_out), (stderr, cut_err) = (stream.finish() for stream in streams)
        return {
            "exit": code,
            "limit": self._limit,
            "duration": duration,
            "cut": cut_out + cut_err,
            "stdout": stdout,
            "stderr": stderr,
        }


def _pack(outcome: dict[str, Any], work: Path, sent: dict[str, str]) -> bytes:
    """The answer: every file by path and hash, the contents of those that are new or changed."""
    stdout, stderr = outcome["stdout"], outcome["stderr"]
    contents, files, folders, dropped = [stdout, stderr], [], [], []
    room = MOST_ANSWER - len(stdout) - len(stderr)
    for folder, names, found in os.walk(work):
        below = len(os.fsencode(os.path.relpath(folder, work))) + 1
        strange = [name for name in (*names, *found) if not _plain(name) or below + len(name.encode()) > MOST_PATH]
        dropped += (repr(name) for name in strange)
        names[:] = [name for name in names if _plain(name)]
        for name in sorted({*names, *found}.difference(strange)):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, work)
            mode = os.lstat(path).st_mode
            if len(files) + len(folders) >= MOST_ENTRIES:
                raise NotRun(413, "answer-too-large", f"the run leaves more than {MOST_ENTRIES} files and folders")
            if stat.S_ISDIR(mode):
                folders.append(relative)
            elif not stat.S_ISREG(mode):
                dropped.append(relative)
            else:
                content = _read(path, MOST_ANSWER)
                hashed = hashlib.sha256(content).hexdigest()
                changed = sent.get(relative) != hashed
                files.append({"path": relative, "size": len(content), "sha256": hashed, "changed": changed})
                room -= len(content) if changed else 0
                if room < 0:
                    raise NotRun(413, "answer-too-large", f"what the run leaves is more than {MOST_ANSWER} bytes")
                if changed:
                    contents.append(content)
    head = {**outcome, "stdout": len(stdout), "stderr": len(stderr)}
    head = {**head, "files": files, "folders": folders, "dropped": [name[:200] for name in dropped[:50]]}
    if len(json.dumps(head)) > MOST_HEAD:
        raise NotRun(413, "answer-too-large", "the names of what the run leaves are too long together")
    return frames.write(head, contents)


def _as_it_was(outcome: dict[str, Any], head: dict[str, Any]) -> bytes:
    """The answer for a run that was ended by a limit and left more than can be sent: its end, and the files as they came."""
    files = [{"path": f["path"], "size": f["size"], "sha256": f["sha256"], "changed": False} for f in head["files"]]
    stdout, stderr = outcome["stdout"], outcome["stderr"]
    told = {**outcome, "stdout": len(stdout), "stderr": len(stderr), "files": files, "folders": head["folders"]}
    return frames.write(told, [stdout, stderr])


def _plain(name: str) -> bool:
    """Whether the caller takes a file of that name: text, without control characters."""
    try:
        return len(name.encode()) <= 255 and all(ord(letter) >= 32 for letter in name)
    except UnicodeEncodeError:
        return False


def _read(path: str, most: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        os.chmod(path, 0o600, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise NotRun(413, "answer-too-large", f"a file that the run leaves is more than {most} bytes")
    return content


def _start(words: list[str], folder: Path, status: int) -> "subprocess.Popen[bytes]":
    with _STARTING:
        runner = subprocess.Popen(
            words,
            cwd=folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[status],
            start_new_session=True,
        )
        _RUNNERS.add(runner.pid)
        return runner


def _end_strays() -> None:
    """Whatever is our child and no runner was left by a run that killed its own."""
    with _STARTING:
        while strays := [pid for pid in watch.children(os.getpid()) if pid not in _RUNNERS]:
            for pid in strays:
                watch.kill_below(pid)
                watch.kill(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _sweep() -> None:
    """On the platform /tmp is ours alone: nothing that a run left there is seen by the next."""
    if not _ON_PLATFORM:
        return
    for entry in os.scandir(tempfile.gettempdir()):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            try:
                os.unlink(entry.path)
            except OSError:
                continue
