"""Runs one verb: its parser, its coroutine, and what its errors mean for the shell."""

import asyncio
import gc
import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from agenthost.cli.verbs import VERBS
from agenthost.core.errors import AgentHostError

_RARELY = 20_000


def launch(verb: str, words: list[str]) -> int:
    """Run a verb with the words after it; the exit code."""
    # What modules define lives as long as the process: the collector finds nothing among it, however often it looks.
    gc.set_threshold(_RARELY)
    try:
        module = importlib.import_module(f"agenthost.cli.{VERBS[verb][0]}")
        args: Namespace = module.parser(verb).parse_args(words)
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 2
    args.verb = verb
    args.json = getattr(args, "json", False)
    from agenthost.cli.screen import report

    try:
        with asyncio.Runner(loop_factory=_loop()) as runner:
            return runner.run(_run(module, args))
    except AgentHostError as error:
        report(error, args.json)
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough (`| head`); the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the command's own edge: a person gets words, the log the traceback
        report(_unexpected(error), args.json)
        return 1


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The quicker event loop where there is one; it has none for Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(module: Any, args: Namespace) -> int:
    from agenthost.cli import logs
    from agenthost.cli.connect import HomeDoor
    from agenthost.cli.screen import Screen

    door = HomeDoor(getattr(args, "home", None))
    with logs.kept(
        getattr(args, "log_format", "text"), getattr(args, "log_level", "warning"), door.home / "logs" / "agenthost.log"
    ):
        return await module.run(args, door, Screen(args.json))


def _unexpected(error: Exception) -> AgentHostError:
    import tempfile
    import traceback

    told = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="agenthost-", suffix=".traceback", delete=False) as file:
        file.write(told)
    return AgentHostError(
        f"something went wrong that has no name here ({type(error).__name__}: {error}). "
        f"The traceback is in {file.name}; please report it with that file."
    )
