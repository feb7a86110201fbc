"""The labelled conversations for routing have their form, and are enough, varied and honest."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from agenthost.evals.routing.form import (
    LABELS,
    Chosen,
    Conversation,
    Ended,
    Filed,
    Label,
    Meaning,
    Moved,
    New,
    Said,
    Told,
    Turn,
    Unsure,
    Which,
    load,
    paths,
)

PATHS = paths()
LEAST_CONVERSATIONS, LEAST_TURNS = 50, 600
PLACE = re.compile(r"\{(\w+)\}")
"""Where a text names a task by its id."""


class Walk:
    """Goes through a conversation and keeps what is open, what waits, and what was said."""

    def __init__(self, conversation: Conversation) -> None:
        self.tasks = conversation.tasks
        self.open = {name for name, task in self.tasks.items() if task.opened == "before"}
        self.ended: set[str] = set()
        self.waiting: set[str] = set()
        self.seen: dict[str, Said | Told | Which] = {}
        self.asked: tuple[Which, bool] | None = None
        self.counts: Counter[str] = Counter()

    def take(self, turn: Turn) -> None:
        if isinstance(turn, Ended):
            self.end(turn.ends)
            return
        assert turn.id not in self.seen
        if isinstance(turn, Said):
            self.said(turn)
        elif isinstance(turn, Told):
            self.told(turn)
        else:
            self.which(turn)
        self.seen[turn.id] = turn

    def end(self, name: str) -> None:
        assert name in self.open
        self.open.remove(name)
        self.ended.add(name)
        self.waiting.discard(name)

    def told(self, turn: Told) -> None:
        assert turn.host in self.open
        assert turn.asks or not turn.options
        self.places(turn.text)
        if turn.asks:
            self.waiting.add(turn.host)

    def which(self, turn: Which) -> None:
        last = [said for said in self.seen.values() if isinstance(said, Said)][-1]
        assert turn.for_ == last.id
        assert turn.which == last.label["unsure"]
        self.asked = turn, set(turn.which) <= self.waiting

    def said(self, turn: Said) -> None:
        assert (turn.text or turn.files) if turn.button is None else turn.text is None
        assert turn.edited is None or turn.text
        assert turn.reply_to is None or turn.reply_to in self.seen
        self.places(turn.text or "")
        if turn.quote is not None:
            assert any(
                turn.quote in (before.text or "") for before in self.seen.values() if not isinstance(before, Ended)
            )
        right = turn.right()
        self.count(right)
        # An unsure message is cleared up before anything else is said.
        assert isinstance(right, Chosen) == (self.asked is not None)
        assert not (self.seen and isinstance(last := list(self.seen.values())[-1], Said) and "unsure" in last.label)
        if turn.button is not None:
            self.pressed(turn)
        self.labelled(turn.id, right)

    def labelled(self, id: str, right: Label) -> None:
        match right:
            case Filed(task=name, meaning="again"):
                assert name in self.ended
                self.ended.remove(name)
                self.open.add(name)
            case Filed(task=name, meaning=meaning):
                assert name in self.open
                if meaning == "answer":
                    self.waiting.remove(name)
            case New(new=name):
                self.begin(name, id)
            case Moved(move=moved, to=to, new=new):
                assert isinstance(self.seen[moved], Said)
                assert (to is None) != (new is None)
                if new is not None:
                    self.begin(new, id)
                else:
                    assert to in self.open | self.ended
            case Unsure(unsure=names):
                assert len(set(names)) == len(names)
                assert set(names) <= self.open | self.ended
            case Chosen(choose=name, for_=moved):
                assert self.asked is not None
                which, waited = self.asked
                assert moved == which.for_
                assert name in which.which
                self.asked = None
                if waited:
                    self.waiting.remove(name)
            case _:
                pass

    def begin(self, name: str, id: str) -> None:
        assert self.tasks[name].opened == id
        assert name not in self.open | self.ended
        self.open.add(name)

    def pressed(self, turn: Said) -> None:
        """A button stands under one turn of the host: the one replied to, or the only task's that offers it."""
        if self.asked is not None:
            assert turn.button in self.asked[0].text
            return
        before = [self.seen[turn.reply_to]] if turn.reply_to else list(self.seen.values())
        offers = {told.host for told in before if isinstance(told, Told) and turn.button in told.options}
        assert len(offers) == 1

    def places(self, text: str) -> None:
        assert set(PLACE.findall(text)) <= set(self.tasks)

    def count(self, right: Label) -> None:
        kind = next(key for key in LABELS if isinstance(right, LABELS[key]))
        self.counts["turns"] += 1
        self.counts[f"label {kind}"] += 1
        if isinstance(right, Filed):
            self.counts[f"meaning {right.meaning}"] += 1
        if self.waiting and not isinstance(right, Chosen | Unsure):
            answers = isinstance(right, Filed) and right.meaning == "answer"
            many = "one task waits" if len(self.waiting) == 1 else "several tasks wait"
            self.counts[f"{many}: {'its answer' if answers else 'something else'}"] += 1


def walked(path: Path) -> Walk:
    conversation = load(path)
    walk = Walk(conversation)
    for turn in conversation.read():
        try:
            walk.take(turn)
        except (AssertionError, LookupError) as error:
            error.add_note(f"{path.name}: {turn}")
            raise
    return walk


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_conversation_has_the_form(path: Path) -> None:
    conversation = load(path)
    turns = conversation.read()
    walk = walked(path)

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.yaml", path.name)
    times = [turn.at for turn in turns]
    assert times == sorted(times)
    assert 5 <= walk.counts["turns"] <= 20
    assert walk.asked is None
    # Every task that is named is there some time.
    assert walk.open | walk.ended == set(conversation.tasks)


def test_the_set_is_large_and_honest() -> None:
    counts: Counter[str] = Counter()
    for path in PATHS:
        conversation = load(path)
        walk = walked(path)
        counts += walk.counts
        counts["conversations"] += 1
        counts["language " + "+".join(conversation.languages)] += 1
        counts["channel " + conversation.channel] += 1
    for name, number in sorted(counts.items()):
        print(f"{number:5} {name}")

    assert counts["conversations"] >= LEAST_CONVERSATIONS
    assert counts["turns"] >= LEAST_TURNS
    assert all(counts[f"label {key}"] for key in LABELS)
    assert all(counts[f"meaning {meaning}"] for meaning in get_args(Meaning))
    other, answers = counts["one task waits: something else"], counts["one task waits: its answer"]
    assert other / (other + answers) >= 0.3
