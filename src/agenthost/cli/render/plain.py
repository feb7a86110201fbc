"""For a pipe: one line a moment, no colours."""

from datetime import datetime

from agenthost.cli.render.moments import (
    Asks,
    Began,
    Called,
    Ended,
    Failed,
    Heard,
    Moment,
    Note,
    Ran,
    Retried,
    Said,
    Told,
    WentBack,
    Wrote,
)
from agenthost.cli.render.view import Look, View
from agenthost.cli.render.words import arguments, count, duration, money, one_line, plural
from agenthost.core.questions import cut

WIDTH = 200
"""Most characters of what is told on a line, without time and name."""


def who(look: Look) -> str:
    """`code/coder#2`: the step, who does it, and which attempt where there were several."""
    name = f"{look.step}/{look.name}" if look.step and look.step != look.name else look.name or look.id
    return f"{name}#{look.attempt}" if look.attempt > 1 else name


def line(view: View, moment: Moment) -> str:
    """`12:01:03 code/coder  wrote main.py (34 lines)`, in local time."""
    at = datetime.fromtimestamp(moment.at).strftime("%H:%M:%S")
    return f"{at} {who(view.look(moment.task)):<18} {one_line(_told(view, moment), WIDTH)}"


def _told(view: View, moment: Moment) -> str:
    match moment:
        case Began():
            files = ", ".join(file.name or file.media_type for file in moment.files)
            return "begins" + (f" with {files}" if files else "") + (f": {moment.text}" if moment.text else "")
        case Said():
            return f"{moment.model} said in {duration(moment.seconds)} ({spent(moment)}): {said(moment)}"
        case Called():
            outcome = "failed" if moment.error else "gave"
            return f"{moment.tool} {arguments(moment.arguments, 70)} {outcome}: {moment.text}"
        case Wrote():
            return f"wrote {moment.path} ({plural(len(moment.content.splitlines()), 'line')})"
        case Ran():
            return _ran(moment)
        case _:
            return _said_of(view, moment)


def _said_of(view: View, moment: Moment) -> str:
    match moment:
        case WentBack():
            return f"goes back to {moment.role} ({attempt(moment)})"
        case Retried():
            after = f" after {duration(moment.delay)}" if moment.delay else ""
            return f"{moment.what} failed for now, attempt {moment.attempt} follows{after}: {moment.failure.message}"
        case Failed():
            return f"{moment.what} failed: {moment.failure.message}"
        case Asks():
            options = f" [{' / '.join(moment.ask.options)}]" if moment.ask.options else ""
            return f"asks: {cut(moment.ask.question, 2000)}{options}"
        case Heard():
            return f"{moment.by} answered: {moment.text}"
        case Told():
            return f"{moment.sender} said: {moment.text}"
        case Ended():
            look = view.look(moment.task)
            took = f" in {duration(look.ended - look.began)}" if look.began else ""
            return f"ended: {look.outcome}{took}" + (f": {look.reason}" if look.reason else "")
        case _:
            return moment.text if isinstance(moment, Note) else type(moment).__name__.lower()


def _ran(moment: Ran) -> str:
    result = moment.result
    told = f"$ {one_line(moment.command, 70)} exit {result.exit_code} in {duration(result.duration)}"
    if result.limit:
        told += f", ended by the {result.limit} limit"
    words = (result.stderr if result.exit_code else result.stdout).strip().splitlines()
    return f"{told}: {words[-1]}" if words else told


def spent(moment: Said) -> str:
    """`1.2k tokens, $0.0031`."""
    tokens = f"{count(moment.usage.total)} tokens"
    return tokens if moment.cost is None else f"{tokens}, {money(moment.cost)}"


def said(moment: Said) -> str:
    """The words, or what stands in their place."""
    if moment.text.strip():
        return moment.text
    return f"calls {plural(moment.calls, 'tool')}" if moment.calls else "(nothing)"


def attempt(moment: WentBack) -> str:
    """`attempt 2 of 5`, or without the bound where it isn't known."""
    return f"attempt {moment.attempt} of {moment.most}" if moment.most else f"attempt {moment.attempt}"
