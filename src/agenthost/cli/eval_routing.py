"""`agenthost eval routing`: how often messages of a linear chat find their task."""

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agenthost.cli.connect import Door
from agenthost.cli.options import Words
from agenthost.cli.screen import Screen

if TYPE_CHECKING:
    from agenthost.evals.routing.asking import Answers
    from agenthost.evals.routing.nearness import Recorded
    from agenthost.evals.routing.scenes import Case
    from agenthost.evals.routing.scoring import Score, Similar


def words(words: Words) -> None:
    """The word and its options."""
    made = words.add(
        "routing",
        "how often messages find their task: rules, a ranking by words, and a model where one is named",
        "eval routing\neval routing --wrong\neval routing --embeddings llamacpp:bge-m3\neval routing --model default",
    )
    made.add_argument(
        "--model",
        metavar="NAME",
        default="",
        help="ask this model what no rule decides: a call each, in this home's ledger",
    )
    made.add_argument(
        "--embeddings", metavar="NAME", default="", help="rank tasks by this model's vectors too (embeds every text)"
    )
    made.add_argument(
        "--out",
        metavar="FILE",
        default="",
        help="with --embeddings: write how near each message is to each task, as JSON",
    )
    made.add_argument("--rules-only", action="store_true", help="the rules' figures alone")
    made.add_argument("--wrong", action="store_true", help="list what was decided wrongly")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Print the figures; 1 where the rules aren't as sure as they must be."""
    from agenthost.evals.routing import crowd, meaning, report
    from agenthost.evals.routing.meaning import meant
    from agenthost.evals.routing.nearness import recording
    from agenthost.evals.routing.scoring import cases, score

    all = await asyncio.to_thread(cases)
    rules_only = args.rules_only
    near, among = await _near(args.embeddings, door, all) if args.embeddings and not rules_only else (None, {})
    rules = await asyncio.to_thread(score, all, None, near)
    answers = await _ask(args.model, door, screen, all, near) if args.model and not rules_only else None
    whole = score(all, answers.decisions, near) if answers is not None else None
    found = await asyncio.to_thread(meant, all, near) if near is not None else None
    crowded = crowd.ranked(all, among)
    if near is not None and args.out:
        await asyncio.to_thread(_write, Path(args.out), recording(args.embeddings, all, near, among))
    if screen.json:
        told = {"meaning": found, "among_all": crowded} if found is not None else {}
        screen.object(report.figures(rules) | told | _modelled(args.model, answers, whole))
        return 0 if report.passes(rules) else 1
    screen.table(report.COLUMNS, report.rows(rules))
    for line in report.lines(rules)[: 1 if rules_only else None]:
        screen.say(line)
    if found is not None:
        screen.table(meaning.COLUMNS, meaning.rows(found))
        screen.table(crowd.COLUMNS, crowd.rows(crowded))
        for line in meaning.lines(found):
            screen.say(line)
    if answers is not None and whole is not None:
        _say(args.model, answers, whole, screen)
    if args.wrong:
        screen.table(["message", "rule", "decided", "right is", "words"], report.wrong(whole or rules))
    if not args.model and not rules_only:
        screen.hint("to have a model decide the rest: agenthost eval routing --model NAME")
    return 0 if report.passes(rules) else 1


async def _near(name: str, door: Door, all: "list[Case]") -> "tuple[Similar, dict[str, list[int]]]":
    from agenthost.evals.routing.crowd import places
    from agenthost.evals.routing.nearness import nearness

    async with door.host() as host:
        abilities = await host.api.abilities(name)
        return await nearness(abilities, all), await places(abilities, all)


def _write(path: Path, found: "Recorded") -> None:
    path.write_bytes(msgspec.json.encode(found) + b"\n")


async def _ask(name: str, door: Door, screen: Screen, all: "list[Case]", near: "Similar | None") -> "Answers":
    from agenthost.evals.routing.asking import ask
    from agenthost.host.adapters import join
    from agenthost.host.settings import load

    settings = load(home=door.home)
    adapters = await join(settings)
    try:
        await adapters.store.open()
        await adapters.models.model(name)
        return await ask(adapters, name, all, near, screen.hint, settings.budgets)
    finally:
        await adapters.close()


def _modelled(name: str, answers: "Answers | None", whole: "Score | None") -> dict[str, Any]:
    from agenthost.evals.routing import report

    if answers is None or whole is None:
        return {}
    used = {key: getattr(answers, key) for key in ("calls", "failed", "tokens", "cost", "unpriced")}
    return {"model": {"name": name, **used, "with_rules": report.figures(whole)}}


def _say(name: str, answers: "Answers", whole: "Score", screen: Screen) -> None:
    from agenthost.evals.routing import report

    screen.say("")
    screen.say(f"rules and {name} together:")
    screen.table(report.COLUMNS, report.rows(whole))
    cost = f", {answers.cost:.4f} USD" if not answers.unpriced else ", its price isn't known"
    failed = f", {answers.failed} without an answer" if answers.failed else ""
    screen.say(
        f"{answers.calls} calls{failed}: {answers.tokens:,} tokens{cost}; "
        f"right in {whole.total.right} of {whole.total.turns} messages ({whole.total.right / whole.total.turns:.3f})"
    )
