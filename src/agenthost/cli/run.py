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
from agenthost.cli.summary import summarise
from agenthost.core.api import HostApi, Order
from agenthost.core.errors import BadInput
from agenthost.core.ids import digest
from agenthost.core.parts import FilePart

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
    made.add_argument("--input", action="append", default=[], metavar="K=V", help="an input by name; @F names a file")
    made.add_argument("--workspace", metavar="DIR", help="work on a copy of DIR; the difference is shown at the end")
    made.add_argument("--model", default="", metavar="M", help="what `default` means for this task")
    made.add_argument("--key", default="", help="the same key starts the work once")
    made.add_argument("--detach", action="store_true", help="start it in the running host, print its id, don't follow")
    made.add_argument("--yes", action="store_true", help="apply the difference to DIR without asking")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """The exit code is the task's."""
    text = sys.stdin.read() if args.text == "-" else args.text
    before = folders.read(Path(args.workspace)) if args.workspace else {}
    async with door.host(work=True) as host:
        if args.detach and host.own:
            raise BadInput("--detach needs a host that goes on: start one with `agenthost up`, in another terminal")
        order = await _order(host.api, args, text, before)
        row = await host.api.start(order)
        if args.detach:
            _detached(screen, row.id)
            return 0
        return await finish(host, screen, row.id, before, args)


async def finish(host: Reached, screen: Screen, task: str, before: dict[str, bytes], args: Namespace) -> int:
    """Follow to the end, tell what came of it, and offer the difference to the folder it began with."""
    code, view = await follow(host, screen, task)
    if code is not None:
        return code
    code = await summarise(host.api, screen, view)
    if args.workspace:
        await offer(host.api, screen, view, Path(args.workspace), before, args.yes)
    return code


def _detached(screen: Screen, task: str) -> None:
    if screen.json:
        screen.object({"task": task})
    else:
        screen.line(task)
        screen.hint(f"follow it: agenthost tasks follow {task}")


async def _order(api: HostApi, args: Namespace, text: str, before: dict[str, bytes]) -> Order:
    files = [await put(api, path) for path in args.file]
    inputs: dict[str, Any] = {}
    for given in args.input:
        key, equals, value = given.partition("=")
        if not equals or not key:
            raise BadInput(f"--input {given}: write it as NAME=VALUE (a file as NAME=@PATH)")
        inputs[key] = await put(api, value[1:]) if value.startswith("@") else value
    workspace = {path: await _digest(api, path, content) for path, content in before.items()}
    return Order(
        name=args.name,
        text=text,
        files=tuple(files),
        inputs=inputs,
        model=args.model,
        key=args.key,
        workspace=workspace,
    )


async def _digest(api: HostApi, path: str, content: bytes) -> str:
    # `put_file` refuses an empty file, since nobody means to show one; a workspace may well hold some.
    return (await api.put_file(path, content)).digest if content else digest(content)


async def put(api: HostApi, path: str) -> FilePart:
    """Give a file of this machine to the host. Raises BadInput."""
    content = paths.read_bytes(path)
    return await api.put_file(Path(path).name, content)


async def offer(
    api: HostApi, screen: Screen, view: View, folder: Path, before: dict[str, bytes] | None, yes: bool
) -> None:
    """Show what a task changed and put it into `folder` where the person agrees.

    `before`: what the files were when the task began; None compares with what is in the folder now.
    """
    found: list[folders.Change] = []
    for path, content_hash in sorted(view.changes.items()):
        target = folders.inside(folder, path)
        now = paths.now(target)
        was = now if before is None else before.get(path)
        after = None if content_hash is None else await api.get_file(content_hash)
        if was != after:
            found.append(folders.Change(path, was, after))
    if screen.json:
        diff = "\n".join(line for change in found for line in folders.difference(change))
        left = folders.put_back(folder, found) if yes else []
        screen.object({"task": view.root, "kind": "difference", "diff": diff, "applied": yes, "left": left})
        return
    if not found:
        screen.say("There is no difference to apply.")
        return
    _show(screen, found)
    if not yes and not _agreed(screen, f"Apply this to {folder}? [y/N] "):
        screen.say(f"Nothing was applied. To apply it: agenthost tasks artifacts {view.root} --apply {folder}")
        return
    left = folders.put_back(folder, found)
    kept = f", except what was changed there meanwhile: {', '.join(left)}" if left else ""
    screen.say(f"Applied to {folder}{kept}.")


def _show(screen: Screen, found: list[folders.Change]) -> None:
    if screen.live:
        screen.console.print()
        screen.console.print(folders.coloured(found))
        return
    for change in found:
        for line in folders.difference(change):
            screen.say(line)


def _agreed(screen: Screen, question: str) -> bool:
    if not screen.asks:
        return False
    screen.console.print(question, end="", style="bold", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
