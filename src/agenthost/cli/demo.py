"""`agenthost demo`: the main job on the example's sketch, with a real model where one is there, else a scripted one."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from agenthost.cli import folder, paths
from agenthost.cli.connect import Door, Reached
from agenthost.cli.follow import follow
from agenthost.cli.manifests import problem_line, read_manifests
from agenthost.cli.options import Parser, make
from agenthost.cli.render.view import View
from agenthost.cli.run import put
from agenthost.cli.screen import Screen
from agenthost.cli.shipped import examples
from agenthost.cli.summary import summarise
from agenthost.core.api import HostApi, Order
from agenthost.core.errors import BadInput

NAME = "sketch-to-code"
PLAYBOOK = "demo.playbook"
CONNECT = ("OPENAI_API_KEY=... agenthost demo", "AGENTHOST_MODEL=ollama:NAME agenthost demo")
STARTS = ("main.py", "run.sh")
"""What the coder names the file that starts its program."""
SEEING = ("vision", "-vl", "vl:", "llava", "gemma3", "pixtral", "minicpm-v", "moondream")
"""Parts of the names of local models that read pictures."""


class Choice(Struct, frozen=True):
    """Which model plays: `""` is what `default` means; why, for the person, empty for the scripted one."""

    model: str
    why: str = ""


def parser(verb: str) -> Parser:
    """The picture, the model, and where the program goes."""
    made = make(verb, "demo\ndemo --file my-sketch.png\nAGENTHOST_MODEL=openai:gpt-5.5 agenthost demo")
    made.add_argument("--file", metavar="F", default="", help="another picture than the example's")
    made.add_argument("--model", metavar="M", default="", help="the model to use, such as openai:gpt-5.5")
    made.add_argument("--out", metavar="DIR", default="", help="where the program is written (HOME/demo/TASK)")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """The exit code is the task's."""
    example = examples() / NAME
    async with door.host(work=True) as host:
        choice = await choose(args.model, os.environ, await host.api.secrets(), screen)
        choice = choice or Choice(f"scripted:{example / PLAYBOOK}")
        picture = args.file or str(example / "sketch.png")
        _introduce(screen, choice, Path(picture))
        await _apply(host.api, example)
        sketch = await put(host.api, picture)
        inputs = {"sketch": sketch, "language": "python"}
        row = await host.api.start(Order(NAME, inputs=inputs, model=choice.model, title=f"demo on {sketch.name}"))
        return await _finish(host, door, screen, row.id, args.out)


async def choose(asked: str, environ: Mapping[str, str], secrets: list[str], screen: Screen) -> Choice | None:
    """The model that was asked for or set, else one that runs here and is agreed to, else None."""
    if asked:
        return Choice(asked, "as you asked")
    if environ.get("AGENTHOST_MODEL"):
        return Choice(environ["AGENTHOST_MODEL"], "as AGENTHOST_MODEL says")
    if environ.get("OPENAI_API_KEY") or "OPENAI_API_KEY" in secrets:
        return Choice("", "OPENAI_API_KEY is set")
    from agenthost.models import detect  # loads aiohttp, which nothing here needs until now

    for found in await detect.find():
        if not found.names:
            continue
        model = next((name for name in found.names if any(part in name for part in SEEING)), found.names[0])
        if _agreed(screen, f"Found {found.provider} on this machine with {model}. Use it? [y/N] "):
            return Choice(model, f"it runs on this machine, at {found.base_url}")
        screen.say(
            f"Found {found.provider} on this machine. To use it: AGENTHOST_MODEL={shlex.quote(model)} agenthost demo"
        )
    return None


def _agreed(screen: Screen, question: str) -> bool:
    if not screen.asks:
        return False
    screen.console.print(question, end="", style="bold", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _introduce(screen: Screen, choice: Choice, sketch: Path) -> None:
    screen.say("A sketch goes in, a checked program comes out.", "bold")
    screen.say(f"The sketch: {sketch}")
    if choice.why:
        screen.say(f"The model: {choice.model or 'default'} ({choice.why}).")
        return
    screen.say("No model is connected, so a *scripted* model plays: fixed replies, written by us.", "yellow")
    screen.say("Real are the sandbox, the failure, the repair and the check.", "yellow")
    for begin, command in zip(("To connect a real one:", "or one on this machine:"), CONNECT, strict=True):
        screen.say(f"{begin:<24}{command}", "dim")


async def _apply(api: HostApi, example: Path) -> None:
    texts = read_manifests([str(example)])
    texts = {name: text for name, text in texts.items() if "apiVersion" in text}
    _, problems = await api.apply(texts)
    if problems:
        raise BadInput("the example can't be applied: " + "; ".join(map(problem_line, problems)))


async def _finish(host: Reached, door: Door, screen: Screen, task: str, out: str) -> int:
    code, view = await follow(host, screen, task)
    if code is not None:
        return code
    code = await summarise(host, screen, view)
    place = Path(out) if out else door.home / "demo" / task
    written = await folder.write_out(host.api, place, await host.api.artifacts(task))
    trace = place.parent / f"{task}.zip"
    paths.write(str(trace), await host.api.export(task))
    _closing(screen, view, place, written, trace, code)
    return code


def _closing(screen: Screen, view: View, place: Path, written: list[Path], trace: Path, code: int) -> None:
    program = next((path for name in STARTS for path in written if path.name == name), None) or next(
        (path for path in written if path.suffix == ".py" and not path.name.startswith("test_")), None
    )
    if screen.json:
        told = {"program": str(program or ""), "run": _command(place, program), "trace": str(trace)}
        screen.object({"task": view.root, "kind": "demo", **told})
        return
    if screen.live:
        screen.console.print()
    if program is not None:
        screen.say(f"{'The program' if code == 0 else 'As far as it came'}: {program}", "green" if code == 0 else "")
        screen.say(f"Run it: {_command(place, program)}", "bold")
    screen.say(f"What happened, event by event: {trace}")


def _command(place: Path, program: Path | None) -> str:
    if program is None:
        return ""
    starter = "sh" if program.suffix == ".sh" else "python3"
    return f"cd {shlex.quote(str(place))} && {starter} {shlex.quote(str(program.relative_to(place)))}"
