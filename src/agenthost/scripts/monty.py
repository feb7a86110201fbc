"""The scripts port on Monty: an interpreter of a Python subset, in worker processes that may crash.

A script sees the names that it is given, the functions of the host, and a few pure modules. It has
no files, network, clock or chance: the same names and answers give the same result, which is what
lets a script be resumed by running it again against the answers that are journalled.
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import pydantic_monty as monty
from pydantic_monty import OSPolicy, ResourceLimits

from agenthost.core import expressions
from agenthost.core.errors import AgentHostError, Permanent, Temporary, nearest
from agenthost.core.events import ScriptRequest, Value
from agenthost.core.ports import Evaluation
from agenthost.scripts import calls
from agenthost.scripts.rewrite import MISSING
from agenthost.scripts.source import LISTED, Fed
from agenthost.scripts.values import plain

# Monty hands these to us, and we refuse: a script that reads them could not be run again to the same end.
_OUTSIDE: OSPolicy = {"datetime": "call_host", "sleep": "call_host", "random_start": "call_host"}

_OWN = "_agenthost_in_"
"""Before the names of a function's arguments, so that they don't stand in the way of the script's own."""

RESULT = "result"
"""Under this name stands what a script's function returned."""


class MontyScripts:
    """Evaluates expressions and scripts. `processes`: most workers; `seconds` of running and `memory`
    in bytes: the most that one evaluation may take.

    Workers are started when first needed and ended by `close`. Monty's blocking calls are made in
    threads of our own: its async ones may abort a process that exits right after the last of them.
    """

    def __init__(self, processes: int = 2, seconds: float = 1.0, memory: int = 64 * 2**20) -> None:
        self._seconds, self._memory = seconds, memory
        self._limits: ResourceLimits = {
            "max_feed_duration_secs": seconds,
            "max_memory": memory,
            "max_recursion_depth": 200,
            "max_suspensions": 10_000,
        }
        self._processes = processes
        self._threads = ThreadPoolExecutor(processes, "scripts")
        self._starting = threading.Lock()
        self._pool: monty.Monty | None = None
        self._closed = False

    async def evaluate(self, evaluation: Evaluation) -> Value | ScriptRequest:
        """What the expressions come to, by name; or of the function, under `result`.

        A function's calls of the host are answered from `evaluation.answers` in order ({"value": ...},
        or {"error": message}, which the script sees as a RuntimeError); the first without an answer is
        returned as the request. Raises Permanent (`script-error`), Temporary where a worker died.
        """
        if self._closed:
            raise Temporary("the host is stopping; the script runs when it is back", code="closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._evaluate, evaluation)

    def mistakes(self, source: str, expression: bool) -> str | None:
        """Why `source` can't be read, with line and column; None where it can."""
        found = expressions.mistake(source) if expression else expressions.script_mistake(source)
        return None if found is None else str(found)

    async def close(self) -> None:
        """End the workers, after what is being evaluated has ended."""
        self._closed = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._threads.shutdown(wait=True)
        with self._starting:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.__exit__(None, None, None)

    def _ready(self) -> monty.Monty:
        with self._starting:
            if self._pool is None:
                pool = monty.Monty(max_processes=self._processes, request_timeout=30.0, checkout_timeout=30.0)
                self._pool = pool.__enter__()
            return self._pool

    def _evaluate(self, evaluation: Evaluation) -> Value | ScriptRequest:
        names = cast("dict[str, Any]", msgspec.to_builtins(evaluation.names))
        fed = _fed(evaluation)
        if evaluation.function:
            names = {_OWN + name: value for name, value in names.items()}
        try:
            with self._ready().checkout(limits=self._limits, os_policy=_OUTSIDE) as session:
                return _Run(evaluation).to_end(session.feed_start(fed.text, inputs=names, print_callback=_unheard))
        except monty.MontyCrashedError as error:
            if error.timed_out:
                raise Permanent("the script did not end in time and was stopped", code="script-error") from error
            raise Temporary(f"the script's worker process ended: {error}", code="script-crash") from error
        except monty.MontyError as error:
            raise self._failed(error, fed) from error
        except TimeoutError as error:
            message = "no script worker became free within 30 s"
            raise Temporary(message, code="script-busy", delay=1.0) from error

    def _failed(self, error: monty.MontyError, fed: Fed) -> Permanent:
        """A failure in a script, in words, with the place where its author wrote it."""
        inner = error.exception()
        where, details = _place(error, fed)
        if isinstance(inner, TimeoutError):
            what = f"ran longer than {self._seconds:g} s; do less in one call"
        elif isinstance(inner, MemoryError):
            what = f"used more than {self._memory // 2**20} MB of memory; keep less at once"
        elif isinstance(inner, RecursionError):
            what = "called functions inside functions too deeply (200 levels)"
        elif isinstance(inner, NotImplementedError):
            words = str(inner).removeprefix("The monty syntax parser does not yet support ")
            what = f"the script language does not have this part of Python: {words}"
        else:
            what = f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__
        return Permanent(f"{where}: {what}", code="script-error", **details)


class _Run:
    """One run of a fed text, answered step by step."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._answered = 0

    def to_end(self, snapshot: monty.SyncSnapshot) -> Value | ScriptRequest:
        while not isinstance(snapshot, monty.MontyComplete):
            if isinstance(snapshot, monty.FunctionSnapshot):
                answer = self._answer(snapshot)
                if isinstance(answer, ScriptRequest):
                    return answer
                snapshot = snapshot.resume(answer)
            elif isinstance(snapshot, monty.NameLookupSnapshot):
                # Without a value, the script sees a NameError.
                snapshot = snapshot.resume()
            else:
                raise Permanent("a script can't wait for several things at once", code="script-error")
        if self._evaluation.function:
            return Value({RESULT: plain(snapshot.output, f"what {self._evaluation.function} returned")})
        values = cast("dict[str, Any]", snapshot.output)
        sources = self._evaluation.expressions
        return Value({name: plain(value, f"'{sources[name]}'") for name, value in values.items()})

    def _answer(self, snapshot: monty.FunctionSnapshot) -> monty.ExternalResult | ScriptRequest:
        name = str(snapshot.function_name)
        if snapshot.is_os_function:
            what = "scripts have no clock, chance, files or environment; be given what you need as a message or input"
            return {"exception": RuntimeError(f"{name} is not there: {what}")}
        if name == MISSING:
            wanted, known = snapshot.args
            return {"exception": AttributeError(expressions.absent("", wanted, known))}
        if name not in calls.HOST:
            known = [*calls.HOST, *sorted(expressions.BUILTINS)]
            return {"exception": NameError(f"there is no function '{name}'. {nearest(name, known)}")}
        if not self._evaluation.function:
            return {"exception": RuntimeError(f"an expression can't call {name}; a script's function can")}
        try:
            request = calls.request(name, snapshot.args, snapshot.kwargs)
        except (TypeError, AgentHostError) as error:
            return {"exception": TypeError(str(error))}
        if self._answered == len(self._evaluation.answers):
            return request
        answer = self._evaluation.answers[self._answered]
        self._answered += 1
        if "error" in answer:
            return {"exception": RuntimeError(str(answer["error"]))}
        return {"return_value": answer.get("value")}


def _fed(evaluation: Evaluation) -> Fed:
    fed = Fed()
    if evaluation.source:
        fed.script(evaluation.source)
    if evaluation.function:
        defined = expressions.functions(evaluation.source)
        if evaluation.function not in defined:
            hint = nearest(evaluation.function, sorted(defined))
            raise Permanent(f"the script has no function '{evaluation.function}'. {hint}", code="script-error")
        named = ", ".join(f"{name}={_OWN}{name}" for name in evaluation.names)
        fed.glue(f"{LISTED}({evaluation.function}({named}))")
        return fed
    fed.glue("{")
    for name, source in evaluation.expressions.items():
        fed.glue(f"{name!r}: ")
        fed.expression(source)
        fed.glue(", ")
    fed.glue("}")
    return fed


def _place(error: monty.MontyError, fed: Fed) -> tuple[str, Mapping[str, int]]:
    """Where an error happened: the innermost line that a person wrote."""
    frames = error.traceback() if isinstance(error, monty.MontyRuntimeError | monty.MontySyntaxError) else []
    for frame in reversed(frames):
        place = fed.place(frame.line, frame.column)
        if place is not None:
            name, line, column = place
            return f"{name}, line {line}, column {column}", {"line": line, "column": column}
    return "the script", {}


def _unheard(stream: str, text: str) -> None:
    """What a script prints goes nowhere: `log` is how it says something."""
