"""`agenthost run NAME [TEXT]`: start an agent or a workflow, follow it, show what came of it."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from agenthost.cli import folder as folders
from agenthost.cli import paths
from agenthost.cli.connect import Door, Reached
from agenthost.cli.follow import follow
from agenthost.cli.options import Parser, make
from agenthost.cli.render.view import View
from agenthost.cli.screen import Screen
from agenthost.cli.shipped import take_in
from agenthost.cli.summary import summarise
from agenthost.core.api import HostApi, Order
from agenthost.core.errors import BadInput
from agenthost.core.ids import digest
from agenthost.core.parts import FilePart
from agenthost.stores.folders import Applied, apply_folder

EXAMPLES = """
run coder "write a program that prints the first ten primes"
run sketch-to-code --file sketch.png --input language=python
run coder "fix the tests" --workspace .
cat notes.txt | agenthost run summariser -
"""


def parser(verb: str) -> Parser:
    """NAME [TEXT] and how it is run."""
    made = make(verb, EXAMPLES)
    made.add_argument("name", metavar="NAME", help="an agent or a workflow")
    made.add_argument("text", metavar="TEXT", nargs="?", default="", help="what is said to it; - reads stdin")
    made.add_argument("--file", action="append", default=[], metavar="F", help="a file to give it (again for more)")
    made.add_argument(
        "--input", action="append", default=[], metavar="K=V", help="an input by name; a file by its path"
    )
    made.add_argument("--workspace", metavar="DIR", help="work on a copy of DIR; the difference is shown at the end")
    made.add_argument("--model", default="", metavar="M", help="what `default` means for this task")
    made.add_argument("--key", default="", help="the same key starts the work once")
    made.add_argument("--detach", action="store_true", help="start it in the running host, print its id, don't follow")
    made.add_argument("--yes", action="store_true", help="apply the difference to DIR without asking")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """The exit code is the task's."""
    text = sys.stdin.read() if args.text == "-" else args.text
    async with door.host(work=True) as host:
        if args.detach and (host.own or not (await host.api.info()).serving):
            raise BadInput("--detach needs a host that goes on: start one with `agenthost up`, in another terminal")
        before, left = await folders.take_in(host.api, Path(args.workspace)) if args.workspace else ({}, ())
        for path in left:
            screen.hint(f"left out of the workspace: {path}")
        await take_in(host.api, screen, args.name)
        order = await _order(host.api, args, text, before)
        row = await host.api.start(order)
        if args.detach:
            _detached(screen, row.id)
            return 0
        return await finish(host, screen, row.id, before, args)


async def finish(host: Reached, screen: Screen, task: str, before: dict[str, str], args: Namespace) -> int:
    """Follow to the end, tell what came of it, and offer the difference to the folder it began with."""
    code, view = await follow(host, screen, task)
    if code is not None:
        return code
    code = await summarise(host, screen, view)
    if not args.workspace:
        return code
    return await offer(host.api, screen, view, Path(args.workspace), before, args.yes) or code


def _detached(screen: Screen, task: str) -> None:
    if screen.json:
        screen.object({"task": task})
    else:
        screen.line(task)
        screen.hint(f"follow it: agenthost tasks follow {task}")


async def _order(api: HostApi, args: Namespace, text: str, before: dict[str, str]) -> Order:
    files = [await put(api, path) for path in args.file]
    return Order(
        name=args.name,
        text=text,
        files=tuple(files),
        inputs=await inputs(api, args.name, args.input),
        model=args.model,
        key=args.key,
        workspace=before,
    )


async def inputs(api: HostApi, name: str, given: list[str]) -> dict[str, Any]:
    """Inputs by name; one that the workflow takes as a file is a path."""
    if not given:
        return {}
    spec: dict[str, Any] = (await api.manifests("workflow")).get(name, {}).get("spec") or {}
    wanted: dict[str, dict[str, Any]] = spec.get("input") or {}
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"--input {pair}: write it as NAME=VALUE (a file as NAME=PATH)")
        as_file = (wanted.get(key) or {}).get("type") == "file"
        found[key] = await put(api, value) if as_file else value
    return found


async def put(api: HostApi, path: str) -> FilePart:
    """Give a file of this machine to the host. Raises BadInput."""
    content = paths.read_bytes(path)
    return await api.put_file(Path(path).name, content)


async def offer(
    api: HostApi, screen: Screen, view: View, folder: Path, before: dict[str, str] | None, yes: bool
) -> int:
    """Show what a task changed and put it into `folder` where the person agrees; 1 where it could not be put there.

    `before`: what the files were when the task began, path to digest; None compares with what is in the folder now.
    """
    changes = {path: new for path, new in view.changes.items() if before is None or before.get(path) != new}
    if before is None:
        was = folders.contents(folder, list(changes))
        before = {path: digest(content) for path, content in was.items()}
    else:
        was = {path: await api.get_file(before[path]) for path in changes if path in before}
    after = {path: new for path, new in changes.items() if new is not None}
    now = {path: await api.get_file(new) for path, new in after.items()}
    lines = folders.difference(was, now)
    if not screen.json:
        _show(screen, lines)
    agreed = yes or (bool(lines) and _agreed(screen, f"Apply this to {folder}? [y/N] "))
    applied = Applied()
    if agreed:
        began = {path: old for path, old in before.items() if path in changes}
        applied = await apply_folder(folder, began, after, folders.HostBlobs(api))
    if screen.json:
        screen.object({"task": view.root, "kind": "difference", "diff": "\n".join(lines), "applied": applied})
    elif applied.conflicts:
        screen.say(f"Nothing was applied: {', '.join(applied.conflicts)} changed meanwhile in {folder}.", "red")
    elif agreed and lines:
        screen.say(f"Applied to {folder}.", "green")
    elif lines:
        screen.say(f"Nothing was applied. To apply it: agenthost tasks artifacts {view.root} --apply {folder}")
    return 1 if applied.conflicts else 0


def _show(screen: Screen, lines: list[str]) -> None:
    if not lines:
        screen.say("There is no difference to apply.")
    elif screen.live:
        screen.console.print()
        screen.console.print(folders.coloured(lines))
    else:
        for line in lines:
            screen.say(line)


def _agreed(screen: Screen, question: str) -> bool:
    if not screen.asks:
        return False
    screen.console.print(question, end="", style="bold", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
