"""Runs Python code in the interpreter that is already there, as a fresh `python` would.

What can't be done faithfully is left to exec: `plan` answers None for it.
"""

import os
import re
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, ModuleType, TracebackType

NAMES = ("python", "python3", "/opt/agenthost/bin/python", "/opt/agenthost/bin/python3")
# A shell line made of these words means itself: no expansion, no operator, no quoting.
_PLAIN_LINE = re.compile(r"[A-Za-z0-9_./:,@%+=-]+(?: +[A-Za-z0-9_./:,@%+=-]+)*")
_KEPT = ("PYTHONDONTWRITEBYTECODE",)
# Read once, at a process's start: by the interpreter, by libc.
_READ_AT_START = ("PYTHON", "LC_", "LD_", "TZ", "MALLOC_", "GLIBC_")
_PATH = os.environ.get("PATH")

Job = Callable[[], None]


def plain(argv: Sequence[str]) -> Sequence[str]:
    """A shell line that only names a Python command, as that command; anything else as it is."""
    shell = len(argv) == 3 and argv[0] in ("sh", "/bin/sh", "bash", "/bin/bash") and argv[1] == "-c"
    if shell and _PLAIN_LINE.fullmatch(argv[2]):
        words = argv[2].split()
        if words[0] in NAMES:
            return words
    return argv


def plan(argv: Sequence[str], env: Mapping[str, str], first: frozenset[str]) -> Job | None:
    """How to run `argv` here, the working directory being set; None where exec is the faithful way.

    `first` are the modules that a fresh interpreter has.
    """
    words = plain(argv)
    if len(words) < 2 or words[0] not in NAMES:
        return None
    if any(name.startswith(_READ_AT_START) and name not in _KEPT for name in env):
        return None
    if env["LANG"] != "C.UTF-8" or env["PATH"] != _PATH:
        return None
    option, rest = words[1], list(words[2:])
    if option == "-c" and rest:
        return _Code(words, ["-c", *rest[1:]], "", "<string>", rest[0].encode("utf-8", "surrogateescape"), first)
    if option == "-m" and rest and not rest[0].startswith("-"):
        return _Module(words, ["-m", *rest[1:]], rest[0], first)
    if option.startswith("-"):
        return None
    return _script(words, first)


def _script(words: Sequence[str], first: frozenset[str]) -> "Job | None":
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
    return _Code(words, list(words[1:]), os.path.dirname(os.path.realpath(name)), path, source, first)


def _become_fresh(words: Sequence[str], argv: list[str], path: str, first: frozenset[str]) -> ModuleType:
    """Forget what the launcher had loaded; give the interpreter the names of the new program."""
    for name in [name for name in sys.modules if name not in first]:
        del sys.modules[name]
    main = ModuleType("__main__")
    main.__dict__.update({"__annotations__": {}, "__builtins__": sys.modules["builtins"]})
    main.__loader__ = sys.modules["_frozen_importlib"].BuiltinImporter
    sys.modules["__main__"] = main
    sys.executable = f"/opt/agenthost/bin/{os.path.basename(words[0])}"
    sys.argv[:] = argv
    sys.orig_argv[:] = list(words)
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
    def __init__(self, words: Sequence[str], argv: list[str], first: frozenset[str]) -> None:
        self._words = words
        self._argv = argv
        self._first = first
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

    def __init__(
        self, words: Sequence[str], argv: list[str], path: str, name: str, source: bytes, first: frozenset[str]
    ) -> None:
        super().__init__(words, argv, first)
        self._path, self._name, self._source = path, name, source

    def _run(self) -> None:
        main = _become_fresh(self._words, self._argv, self._path, self._first)
        if self._name != "<string>":
            from importlib.machinery import SourceFileLoader

            main.__file__ = self._name
            main.__dict__["__cached__"] = None
            main.__loader__ = SourceFileLoader("__main__", self._name)
        code = compile(self._source, self._name, "exec", dont_inherit=True)
        exec(code, main.__dict__)


class _Module(_Program):
    """`-m MODULE`."""

    def __init__(self, words: Sequence[str], argv: list[str], module: str, first: frozenset[str]) -> None:
        super().__init__(words, argv, first)
        self._module = module

    def _run(self) -> None:
        _become_fresh(self._words, self._argv, os.getcwd(), self._first)
        import runpy

        # The function that the interpreter itself calls for -m (Modules/main.c).
        run: Callable[[str, bool], object] = runpy._run_module_as_main  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
        run(self._module, True)
