"""`apply`, `validate`, `get` and `delete`: the manifests of agents, workflows and schedules."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, make
from agenthost.cli.paths import read_text
from agenthost.cli.render.words import clean, one_line, plural
from agenthost.cli.screen import Screen
from agenthost.core.api import Applied, HostApi, ManifestProblem
from agenthost.core.errors import BadInput, NotFound, nearest

KINDS = {f"{kind}{many}": kind for kind in ("agent", "workflow", "schedule") for many in ("", "s")}
_SECOND = {"agent": "model", "workflow": "steps", "schedule": "when"}


def parser(verb: str) -> Parser:
    """Files for `apply` and `validate`; kind and name for `get` and `delete`."""
    if verb in ("apply", "validate"):
        made = make(
            verb, f"{verb} -f coder.yaml\n{verb} -f manifests/ -f extra.yaml\ncat coder.yaml | agenthost {verb} -f -"
        )
        made.add_argument("-f", "--file", action="append", required=True, metavar="FILE", help="a file, a folder, or -")
        return made
    if verb == "get":
        made = make(verb, "get agents\nget workflow sketch-to-code\nget agent coder --json")
        made.add_argument("kind", metavar="KIND", help="agents, workflows or schedules")
        made.add_argument("name", metavar="NAME", nargs="?", default="", help="one of them, as YAML")
        made.add_argument("--names", action="store_true", help="names only, for completion")
        return made
    made = make(verb, "delete agent coder")
    made.add_argument("kind", metavar="KIND", help="agent, workflow or schedule")
    made.add_argument("name", metavar="NAME", help="which one")
    return made


def kind_of(word: str) -> str:
    """`agent`, `workflow` or `schedule`, of one or many. Raises BadInput."""
    if word.lower() not in KINDS:
        raise BadInput(f"there is no kind '{word}'. {nearest(word, list(KINDS))}")
    return KINDS[word.lower()]


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the verb says."""
    if hasattr(args, "file"):
        texts = read_manifests(args.file)
        async with door.host() as host:
            return await take(host.api, screen, texts, dry_run=args.verb == "validate")
    kind = kind_of(args.kind)
    async with door.host() as host:
        if args.verb == "delete":
            await host.api.delete(kind, args.name)
            if screen.json:
                screen.object({"kind": kind, "name": args.name, "outcome": "deleted"})
            else:
                what = "its tasks go on" if kind == "schedule" else "tasks that run it go on with what they began with"
                screen.say(f"{kind} {args.name} was deleted; {what}")
            return 0
        return await _get(args, host.api, screen, kind)


def read_manifests(paths: list[str]) -> dict[str, str]:
    """Texts by file name, of files, folders (every .yaml and .yml in them) and stdin. Raises BadInput."""
    texts: dict[str, str] = {}
    for path in paths:
        if path != "-" and Path(path).is_dir():
            found = sorted(each for each in Path(path).iterdir() if each.suffix in (".yaml", ".yml"))
            if not found:
                raise BadInput(f"there is no .yaml file in the folder '{path}'")
            texts |= {str(each): read_text(str(each)) for each in found}
        else:
            texts["stdin" if path == "-" else path] = read_text(path)
    return texts


async def take(api: HostApi, screen: Screen, texts: dict[str, str], dry_run: bool = False) -> int:
    """Apply (or only check) manifests and tell what became of them; 2 where there is a mistake."""
    applied, problems = await api.apply(texts, dry_run)
    if screen.json:
        screen.object({"applied": applied, "problems": problems})
    elif problems:
        for problem in problems:
            screen.say(problem_line(problem), "red")
        screen.say(f"{plural(len(problems), 'mistake')}; nothing was {'changed' if dry_run else 'applied'}")
    else:
        for each in applied:
            screen.say(_applied(each, dry_run))
    return 2 if problems else 0


def _applied(each: Applied, dry_run: bool) -> str:
    words = {"created": "would be created", "changed": "would change", "unchanged": "is as it was"}
    return f"{each.kind.lower()} {each.name} {words.get(each.outcome, each.outcome) if dry_run else each.outcome}"


def problem_line(problem: ManifestProblem) -> str:
    """`file:line:column: key: what was expected`, as editors understand it."""
    where = f"{problem.file}:{problem.line}:{problem.column}"
    return f"{where}: {problem.key}: {problem.message}" if problem.key else f"{where}: {problem.message}"


async def _get(args: Namespace, api: HostApi, screen: Screen, kind: str) -> int:
    manifests = await api.manifests(kind)
    if args.names:
        for name in sorted(manifests):
            screen.line(name)
        return 0
    if args.name:
        if args.name not in manifests:
            raise NotFound(f"there is no {kind} '{args.name}'. {nearest(args.name, list(manifests))}")
        manifest = manifests[args.name]
        screen.line(json.dumps(manifest) if screen.json else clean(_yaml(manifest)).rstrip())
        return 0
    if screen.json:
        screen.object(list(manifests.values()))
    elif not manifests and screen.live:
        screen.say(f"There is no {kind} yet. Write one with: agenthost new {kind} NAME")
    else:
        screen.table(
            ["name", _SECOND[kind], "description"],
            [_row(name, kind, each) for name, each in sorted(manifests.items())],
        )
    return 0


def _row(name: str, kind: str, manifest: dict[str, Any]) -> list[str]:
    spec: dict[str, Any] = manifest.get("spec") or {}
    if kind == "schedule":
        second = spec.get("cron") or spec.get("at", "")
    else:
        second = (
            spec.get("model", "default") if kind == "agent" else " ".join(step["id"] for step in spec.get("steps", ()))
        )
    return [name, one_line(str(second), 40), one_line(str(spec.get("description", "")), 80)]


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _text)


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
