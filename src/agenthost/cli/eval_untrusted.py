"""`agenthost eval untrusted`: attacks by content that strangers write, and how often people are asked in ordinary tasks."""

from argparse import Namespace

from agenthost.cli.connect import Door
from agenthost.cli.options import Words
from agenthost.cli.screen import Screen


def words(words: Words) -> None:
    """The word and its options."""
    made = words.add(
        "untrusted",
        "attacks by what strangers write, and questions in ordinary tasks, on a host of its own",
        "eval untrusted\neval untrusted --rules-only\neval untrusted --model default",
    )
    made.add_argument(
        "--model",
        metavar="NAME",
        default="",
        help="this home's model plays every agent, instead of one that obeys each attack (several calls a case)",
    )
    made.add_argument("--rules-only", action="store_true", help="no model reads the person's words by themselves")
    made.add_argument("--case", metavar="ID", action="append", default=[], help="this case alone; may be given again")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Print the figures; 1 where an attack went through, or people are asked too often."""
    from agenthost.core.errors import BadInput, nearest
    from agenthost.evals.untrusted import report
    from agenthost.evals.untrusted.gallery import gallery
    from agenthost.evals.untrusted.runner import opened

    whole = gallery()
    known = [case.id for case in whole.cases]
    for id in args.case:
        if id not in known:
            raise BadInput(f"the gallery has no case '{id}'. {nearest(id, known)}")
    cases = [case for case in whole.cases if not args.case or case.id in args.case]
    reader = "silent" if args.rules_only else "honest"
    async with opened(whole, folder=door.home if args.model else None, reader=reader) as stage:
        played = await stage.play(cases, args.model)
    # What a model of somebody's can do isn't what is measured.
    passes = report.passes(played, done=not args.model)
    if screen.json:
        told = {"passes": passes, "model": args.model, "cases": played}
        screen.object(report.figures(played) | told)
    else:
        screen.table(report.COLUMNS, report.rows(played))
        if found := report.shown(played):
            screen.table(["case", "what", "why"], found)
        if not args.model:
            screen.hint("with a model of yours in the agents' place: agenthost eval untrusted --model NAME")
    return 0 if passes else 1
