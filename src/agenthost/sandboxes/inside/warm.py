"""Runs Python code in the interpreter that is already there, as a fresh `python` would.

What can't be done faithfully is left to exec: `plan` answers None for it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType, ModuleType, TracebackType
from typing import NamedTuple

# A shell line made of these words means itself: no expansion, no operator, no quoting.
_PLAIN_LINE = re.compile(r"[A-Za-z0-9_./:,@%+=-]+(?: +[A-Za-z0-9_./:,@%+=-]+)*")
# Read once, at a process's start: by the interpreter, by libc.
_READ_AT_START = ("PYTHON", "LC_", "LD_", "TZ", "MALLOC_", "GLIBC_")
_ALSO = ("LANG", "PATH")
_START = dict(os.environ)

Job = Callable[[], None]


class Interpreter(NamedTuple):
    """The interpreter that is here: the words that mean it, each with what `sys.executable` is then, and the
    modules that a fresh one has."""

    words: Mapping[str, str]
    first: frozenset[str]


def keep_for_good(first: frozenset[str]) -> None:
    """Give what was loaded since the interpreter's start a reference that nobody drops, and take it out of collections.

    A run forgets these modules; were they freed there, or looked through at its end, each of their
    pages would be copied first, which is most of what a short run would cost.
    """
    for name, module in sys.modules.items():
        if name not in first:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module.__dict__))
    gc.collect()
    gc.freeze()


def plain(argv: Sequence[str], names: Iterable[str]) -> Sequence[str]:
    """A shell line that only names a Python command, as that command; anything else as it is."""
    shell = len(argv) == 3 and argv[0] in ("sh", "/bin/sh", "bash", "/bin/bash") and argv[1] == "-c"
    if shell and _PLAIN_LINE.fullmatch(argv[2]):
        words = argv[2].split()
        if words[0] in names:
            return words
    return argv


def plan(argv: Sequence[str], env: Mapping[str, str], python: Interpreter) -> Job | None:
    """How to run `argv` here, the working directory being set; None where exec is the faithful way."""
    words = plain(argv, python.words)
    if len(words) < 2 or words[0] not in python.words:
        return None
    for name in env.keys() | _START.keys():
        if (name.startswith(_READ_AT_START) or name in _ALSO) and env.get(name) != _START.get(name):
            return None
    fresh = _Fresh(words, python.words[words[0]], python.first)
    option, rest = words[1], list(words[2:])
    if option == "-c" and rest:
        return _Code(fresh, ["-c", *rest[1:]], "", "<string>", rest[0].encode("utf-8", "surrogateescape"))
    if option == "-m" and rest and not rest[0].startswith("-"):
        return _Module(fresh, ["-m", *rest[1:]], rest[0])
    if option.startswith("-"):
        return None
    return _script(words, fresh)


def _script(words: Sequence[str], fresh: _Fresh) -> Job | None:
    name = words[1]
    try:
        if not stat.S_ISREG(os.stat(name).st_mode) or name.endswith((".pyc", ".zip", ".pyz")):
            return None
        with open(name, "rb") as file:
            source = file.read()
    except OSError:
        return None
    if source.startswith(b"PK") or b"\0" in source:
        return None
    path = name if name.startswith("/") else f"{os.getcwd()}/{name}"
    return _Code(fresh, list(words[1:]), os.path.dirname(os.path.realpath(name)), path, source)


class _Fresh(NamedTuple):
    """What a fresh interpreter is told at its start, and what it has."""

    words: Sequence[str]
    executable: str
    first: frozenset[str]


def _become_fresh(fresh: _Fresh, argv: list[str], path: str) -> ModuleType:
    """Forget what the launcher had loaded; give the interpreter the names of the new program."""
    for name in [name for name in sys.modules if name not in fresh.first]:
        del sys.modules[name]
    main = ModuleType("__main__")
    main.__dict__.update({"__annotations__": {}, "__builtins__": sys.modules["builtins"]})
    main.__loader__ = sys.modules["_frozen_importlib"].BuiltinImporter
    sys.modules["__main__"] = main
    sys.executable = fresh.executable
    sys.argv[:] = argv
    sys.orig_argv[:] = list(fresh.words)
    sys.path[:] = [path, *(entry for entry in sys.path[1:])]
    for stale in ("/opt/agenthost/packages", ""):
        sys.path_importer_cache.pop(stale, None)
    return main


def _report(problem: BaseException, code: str, source: bytes) -> None:
    """Say what went wrong as the interpreter does, without our own frames."""
    trace = problem.__traceback__
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    if code == "<string>" and sys.version_info >= (3, 13):
        import linecache

        text = source.decode("utf-8", "replace")
        linecache.cache[code] = (len(text), None, text.splitlines(True), code)
    _show(type(problem), problem.with_traceback(trace), trace)


def _show(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    sys.last_type, sys.last_value, sys.last_traceback = kind, problem, trace
    sys.excepthook(kind, problem, trace)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename == __file__


class _Program:
    def __init__(self, fresh: _Fresh, argv: list[str]) -> None:
        self._fresh = fresh
        self._argv = argv
        self._source = b""
        self._name = ""

    def __call__(self) -> None:
        try:
            self._run()
        except SystemExit:
            raise
        except BaseException as problem:  # noqa: BLE001 - the program's own, told as the interpreter tells it
            _report(problem, self._name, self._source)
            if isinstance(problem, KeyboardInterrupt):
                _interrupted()
            raise SystemExit(1) from None

    def _run(self) -> None:
        raise NotImplementedError


def _interrupted() -> None:
    import signal

    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


class _Code(_Program):
    """`-c CODE` and `FILE.py`."""

    def __init__(self, fresh: _Fresh, argv: list[str], path: str, name: str, source: bytes) -> None:
        super().__init__(fresh, argv)
        self._path, self._name, self._source = path, name, source

    def _run(self) -> None:
        main = _become_fresh(self._fresh, self._argv, self._path)
        if self._name != "<string>":
            from importlib.machinery import SourceFileLoader

            main.__file__ = self._name
            main.__dict__["__cached__"] = None
            main.__loader__ = SourceFileLoader("__main__", self._name)
        code = compile(self._source, self._name, "exec", dont_inherit=True)
        exec(code, main.__dict__)


class _Module(_Program):
    """`-m MODULE`."""

    def __init__(self, fresh: _Fresh, argv: list[str], module: str) -> None:
        super().__init__(fresh, argv)
        self._module = module

    def _run(self) -> None:
        _become_fresh(self._fresh, self._argv, os.getcwd())
        import runpy

        # The function that the interpreter itself calls for -m (Modules/main.c).
        run: Callable[[str, bool], object] = runpy._run_module_as_main  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
        run(self._module, True)
