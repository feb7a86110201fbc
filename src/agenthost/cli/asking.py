"""Questions to a person: how they are shown, what was meant by an answer, how it is given from elsewhere."""

import shlex
from typing import Any

from agenthost.cli.render.words import clean
from agenthost.core.commands import Ask
from agenthost.core.errors import BadInput

AGREE = ("approve", "approved", "allow", "yes", "y")
REFUSE = ("deny", "denied", "refuse", "no", "n")


def shown(ask: Ask) -> list[str]:
    """The offered answers, numbered, and what an empty line means."""
    lines = [f"  {number}. {clean(option)}" for number, option in enumerate(ask.options, 1)]
    if ask.default and ask.kind != "approval":
        lines.append(f"  (nothing: {clean(ask.default)})")
    return lines


def meant(ask: Ask, typed: str) -> str | None:
    """The answer that was typed: an option by number or by its beginning, else the words; None to ask again."""
    words = typed.strip()
    if not words:
        # Whoever only touches the key has neither agreed nor refused.
        return None if ask.kind == "approval" else ask.default or None
    if not ask.options:
        return words
    if words.isdigit():
        return ask.options[int(words) - 1] if 0 < int(words) <= len(ask.options) else None
    close = [option for option in ask.options if option.lower().startswith(words.lower())]
    exact = [option for option in close if option.lower() == words.lower()]
    found = exact or close
    return found[0] if len(found) == 1 else None


def decision(ask: Ask, agree: bool) -> str:
    """The option of an approval that agrees or refuses. Raises BadInput for another kind of question."""
    if ask.kind not in ("approval", "auth"):
        raise BadInput(f"this question wants words, not a yes or no: {ask.question}. Use `agenthost tasks reply`.")
    wanted = AGREE if agree else REFUSE
    for option in ask.options:
        if option.lower().split()[0] in wanted:
            return option
    if ask.options:
        return ask.options[0] if agree else ask.options[1]
    return wanted[0]


def elsewhere(task: str, ask: Ask) -> list[str]:
    """The exact commands that answer from another terminal."""
    root = task.partition(".")[0]
    if ask.kind == "approval":
        return [f"agenthost tasks approve {root}", f"agenthost tasks deny {root}"]
    example = shlex.quote(ask.options[0]) if ask.options else '"your answer"'
    return [f"agenthost tasks reply {root} {example}"]


def as_object(task: str, ask: Ask) -> dict[str, Any]:
    """A question for programs."""
    return {
        "task": task,
        "question": ask.question,
        "kind": ask.kind,
        "options": ask.options,
        "answer_with": elsewhere(task, ask),
    }
