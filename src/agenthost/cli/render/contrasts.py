"""A trial beside what was recorded, as a table: a line a turn, then and now, and what differs."""

import msgspec

from agenthost.cli.render.words import count, money, one_line
from agenthost.cli.screen import Screen
from agenthost.core.replaying import CallSeen, Contrast, Ended, Pair, Turned

WIDE = 60
"""Characters of one turn's words in the table."""


def contrasted(screen: Screen, found: Contrast) -> None:
    """Show a trial beside what was recorded."""
    rows = [_row(pair) for pair in found.pairs]
    screen.table(["task", "turn", "recorded", f"with {found.model}", "differs"], rows)
    for pair in found.pairs:
        _details(screen, pair)
    screen.say(f"\nrecorded  {_ended(found.then)}", "bold")
    screen.say(f"trial     {_ended(found.now)}", "bold")
    if found.then.output != found.now.output:
        screen.say(f"output    {one_line(found.then.output, WIDE)} | {one_line(found.now.output, WIDE)}")
    else:
        screen.say("output    the same")


def _row(pair: Pair) -> list[str]:
    turn = str(pair.turn) if pair.turn else "-"
    return [pair.task or "(root)", turn, _turn(pair.then), _turn(pair.now), ", ".join(pair.differs) or "same"]


def _turn(turn: Turned | None) -> str:
    if turn is None:
        return ""
    told = [one_line(turn.text, WIDE)] if turn.text.strip() else []
    told += [f"failed: {one_line(turn.failure, WIDE)}"] if turn.failure else []
    told += [call.name + (f" ({call.state})" if call.state == "not recorded" else "") for call in turn.calls]
    used = f"[{count(turn.spent.tokens)} tokens, {money(turn.spent.cost)}]" if turn.spent.tokens else ""
    return " · ".join([*told, used] if used else told)


def _details(screen: Screen, pair: Pair) -> None:
    """Where calls differ: which, with which arguments, to what."""
    if not {"calls", "arguments", "results"} & set(pair.differs):
        return
    screen.say(f"{pair.task or '(root)'}, turn {pair.turn}:")
    for sign, turn in (("-", pair.then), ("+", pair.now)):
        for call in turn.calls if turn is not None else ():
            screen.say(f"  {sign} {_call(call)}", "red" if sign == "-" else "green")


def _call(call: CallSeen) -> str:
    arguments = one_line(msgspec.json.encode(call.arguments).decode(), 2 * WIDE) if call.arguments else ""
    error = "error: " if call.error else ""
    return f"{call.name}({arguments}) -> {error}{one_line(call.result, WIDE)}"


def _ended(ended: Ended) -> str:
    told = f"{ended.task}: {ended.state}" + (f" ({ended.outcome})" if ended.outcome else "")
    told += f", {one_line(ended.reason, WIDE)}" if ended.reason else ""
    return f"{told}; {ended.spent.turns} turns, {count(ended.spent.tokens)} tokens, {money(ended.spent.cost)}"
