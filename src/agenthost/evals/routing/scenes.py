"""Plays a labelled conversation turn by turn, and shows each message with the scene that a host would see it in.

The lines are kept as a host keeps them, and what routing is told of them is made by the host's own functions. After a message the play goes
on as if it had been filed as its label says: what is measured is one decision, not what a wrong one leads to.
"""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.conversations import Button, Gathered, Line, Mentioned, Wanted
from agenthost.core.ids import digest, task_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import FilePart
from agenthost.core.routing import Candidate, Decision, Scene, Spoken
from agenthost.core.tasks import TaskRow
from agenthost.evals.routing.form import Chosen, Conversation, Ended, Filed, Label, Moved, New, Said, Told, Which
from agenthost.host.conversing import scenes
from agenthost.programs.routing import buttons

PLACE = re.compile(r"\{(\w+)\}")
"""Where a text names a task by its id."""

MEDIA = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "pdf": "application/pdf"}


class Case(Struct, frozen=True):
    """A message in its scene, and what is right: `label` by the names of the file, `ids` give the tasks' ids and `lines` the
    messages' places; `said` are those of the person."""

    conversation: str
    turn: Said
    languages: tuple[str, ...]
    spoken: Spoken
    scene: Scene
    label: Label
    ids: dict[str, str]
    lines: dict[str, int]
    said: frozenset[str]

    @property
    def key(self) -> str:
        """The message, in the whole set."""
        return f"{self.conversation}/{self.turn.id}"


class Play:
    """A conversation while it is played."""

    def __init__(self, name: str, conversation: Conversation) -> None:
        self.name = name
        self.conversation = conversation
        self.turns = conversation.read()
        start = self.turns[0].at.timestamp()
        self.ids = {key: task_id(int(start * 1000), at) for at, key in enumerate(conversation.tasks, 1)}
        self.rows: dict[str, TaskRow] = {}
        self.lines: dict[str, Line] = {}
        self.which: Which | None = None
        for key, task in conversation.tasks.items():
            if task.opened == "before":
                self._begin(key, start - 3600)

    def cases(self) -> Iterator[Case]:
        """Each message of the person, before anything is done with it."""
        for turn in self.turns:
            if isinstance(turn, Said):
                line = self._heard(turn)
                yield self._case(turn, line)
                self.lines[turn.id] = replace(line, text=self._text(turn.edited or turn.text or turn.button or ""))
                self._done(turn)
            elif isinstance(turn, Told):
                self._told(turn)
            elif isinstance(turn, Which):
                self.which = turn
                self._add(turn.id, "host", "which", turn.at.timestamp(), self._text(turn.text))
            else:
                self._ended(turn)

    # --- what a host sees ---------------------------------------------------------------------

    def _case(self, turn: Said, line: Line) -> Case:
        places = {id: line.place for id, line in self.lines.items()}
        said = frozenset(id for id, line in self.lines.items() if line.by == "person")
        spoken = scenes.spoken(line, self.lines.get(turn.reply_to or ""))
        languages = tuple(self.conversation.languages)
        return Case(self.name, turn, languages, spoken, self._scene(), turn.right(), self.ids, places, said)

    def _scene(self) -> Scene:
        wanted, lines = Wanted(), list(self.lines.values())
        last = {key: max((line.place for line in self._of(key)), default=0) for key in self.rows}
        newest = sorted(self.rows, key=lambda key: -last[key])
        going = [key for key in newest if self.rows[key].state not in FINAL]
        topics = tuple(
            Mentioned(
                self._row(key),
                tuple(self._of(key)[-wanted.lines :]),
                tuple(line for line in self._of(key) if line.state == "asked"),
            )
            for key in newest
        )
        waiting = sum(line.state == "asked" for line in lines)
        return scenes.scene(Gathered(topics, tuple(lines[-wanted.recent :]), len(going), waiting), self._asked())

    def _asked(self) -> Line | None:
        """The person's line that the host asks about, with those that it offered."""
        if self.which is None:
            return None
        offered = tuple(Candidate(self.ids[key]) for key in self.which.which)
        return replace(self.lines[self.which.for_], decision=Decision("unsure", candidates=offered))

    def _of(self, key: str) -> list[Line]:
        return [line for line in self.lines.values() if line.task == self.ids[key]]

    def _row(self, key: str) -> TaskRow:
        asks = any(line.state == "asked" for line in self._of(key))
        return replace(self.rows[key], state="input-required") if asks else self.rows[key]

    def _heard(self, turn: Said) -> Line:
        return Line(
            self.name,
            turn.id,
            "person",
            "message",
            turn.at.timestamp(),
            self._text(turn.text or ""),
            self._files(turn.id, [file.name for file in turn.files]),
            reply_to=turn.reply_to or "",
            quote=self._text(turn.quote or ""),
            button=self._button(turn),
            place=len(self.lines) + 1,
        )

    def _button(self, turn: Said) -> str:
        """The data of the button that was pressed: the newest with its label, or the one under the line replied to."""
        if turn.button is None:
            return ""
        right = turn.right()
        if isinstance(right, Chosen):
            return buttons.which(self.lines[right.for_].place, self.ids[right.choose])
        under = [self.lines[turn.reply_to]] if turn.reply_to else reversed(self.lines.values())
        return next(button.data for line in under for button in line.buttons if button.label == turn.button)

    # --- what happens -------------------------------------------------------------------------

    def _begin(self, key: str, at: float) -> None:
        task = self.conversation.tasks[key]
        self.rows[key] = TaskRow(self.ids[key], "agent", task.agent, "working", at, at, title=task.title)

    def _add(self, id: str, by: Any, kind: Any, at: float, text: str, **more: Any) -> None:
        self.lines[id] = Line(self.name, id, by, kind, at, text, place=len(self.lines) + 1, **more)

    def _told(self, turn: Told) -> None:
        task = self.ids[turn.host]
        more: dict[str, Any] = {"task": task, "files": self._files(turn.id, [turn.artifact] if turn.artifact else [])}
        if turn.asks:
            # A task's new question stands in the place of its last one.
            self._settle(turn.host)
            question = f"{task}/{turn.id}"
            offered = tuple(Button(name, buttons.answer(question, at)) for at, name in enumerate(turn.options, 1))
            more |= {"question": question, "buttons": offered, "state": "asked"}
        kind = "question" if turn.asks else "answer"
        self._add(turn.id, "host", kind, turn.at.timestamp(), self._text(turn.text), **more)

    def _settle(self, key: str) -> None:
        for line in self._of(key):
            if line.state == "asked":
                self.lines[line.id] = replace(line, state="filed")

    def _ended(self, turn: Ended) -> None:
        self._settle(turn.ends)
        self.rows[turn.ends] = replace(self.rows[turn.ends], state=turn.state, hold="")

    def _done(self, turn: Said) -> None:
        match turn.right():
            case Filed(task=key, meaning=meaning):
                self._filed(turn.id, self._mistaken(turn.id, key), meaning)
            case New(new=key):
                self._begin(key, turn.at.timestamp())
                self._filed(turn.id, key, "steer")
            case Moved(move=moved, to=to, new=new):
                if new is not None:
                    self._begin(new, turn.at.timestamp())
                self._filed(moved, to or new or "", "steer")
            case Chosen(choose=key, for_=moved):
                offered = self.which.which if self.which is not None else []
                asked = [any(line.state == "asked" for line in self._of(one)) for one in offered]
                self.which = None
                self._filed(moved, key, "answer" if all(asked) else "steer")
            case _:
                pass

    def _filed(self, id: str, key: str, meaning: str) -> None:
        if meaning == "answer":
            self._settle(key)
        elif meaning in ("pause", "resume"):
            self.rows[key] = replace(self.rows[key], hold="paused" if meaning == "pause" else "")
        elif meaning == "again":
            self.rows[key] = replace(self.rows[key], state="working")
        self.lines[id] = replace(self.lines[id], task=self.ids[key])

    def _mistaken(self, id: str, key: str) -> str:
        """Where the host filed a message that its label says is for `key`: the task that it spoke for next, where the person says later that it was
        filed wrongly."""
        at = next(at for at, turn in enumerate(self.turns) if isinstance(turn, Said) and turn.id == id)
        after = self.turns[at + 1 :]
        rights = (turn.right() for turn in after if isinstance(turn, Said))
        if not any(isinstance(right, Moved) and right.move == id and right.to == key for right in rights):
            return key
        return next((turn.host for turn in after if isinstance(turn, Told)), key)

    def _files(self, turn: str, names: list[str]) -> tuple[FilePart, ...]:
        """Files of these names. Each is another than all before: the set doesn't say what is in them."""
        return tuple(
            FilePart(
                digest(f"{self.name} {turn} {name}".encode()),
                MEDIA.get(name.rpartition(".")[2].lower(), "application/octet-stream"),
                1000,
                name,
            )
            for name in names
        )

    def _text(self, text: str) -> str:
        return PLACE.sub(lambda place: self.ids.get(place[1], place[0]), text)
