"""Plays a labelled conversation turn by turn, and shows each message with the scene that a host would see it in.

After a message the play goes on as if it had been filed as its label says: what is measured is one decision, not what a
wrong one leads to.
"""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from agenthost.core.ids import digest, task_id
from agenthost.core.lifecycle import FINAL, Hold, State
from agenthost.core.parts import FilePart
from agenthost.core.routing import Referred, Scene, Spoken, Topic, TopicQuestion, Utterance
from agenthost.evals.routing.form import (
    Chosen,
    Conversation,
    Ended,
    Filed,
    Label,
    Moved,
    New,
    Said,
    Told,
    Which,
)
from agenthost.programs.routing import MOST_RECENT, MOST_SAID, MOST_TOPICS, buttons

PLACE = re.compile(r"\{(\w+)\}")
"""Where a text names a task by its id."""


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


class Line(Struct):
    """Something that was said, as the host keeps it."""

    said: Utterance
    place: int
    question: str = ""
    options: tuple[str, ...] = ()


class Known(Struct):
    """What a host knows of a task."""

    task: str
    title: str
    name: str
    opened: float
    changed: float
    state: State = "working"
    hold: Hold = ""
    asks: tuple[TopicQuestion, ...] = ()
    artifacts: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()


class Play:
    """A conversation while it is played."""

    def __init__(self, name: str, conversation: Conversation) -> None:
        turns = conversation.read()
        start = turns[0].at.timestamp()
        self.name = name
        self.conversation = conversation
        self.turns = turns
        self.ids = {key: task_id(int(start * 1000), at) for at, key in enumerate(conversation.tasks, 1)}
        self.known: dict[str, Known] = {}
        self.lines: dict[str, Line] = {}
        self.which: Which | None = None
        for key, task in conversation.tasks.items():
            if task.opened == "before":
                self._begin(key, start - 3600)

    def cases(self) -> Iterator[Case]:
        """Each message of the person, before anything is done with it."""
        for turn in self.turns:
            if isinstance(turn, Said):
                yield self._case(turn)
                self._said(turn)
            elif isinstance(turn, Told):
                self._told(turn)
            elif isinstance(turn, Which):
                self.which = turn
                self._line(turn.id, Utterance("host", self._text(turn.text), "", turn.at.timestamp()))
            else:
                self._ended(turn)

    # --- what a host sees ---------------------------------------------------------------------

    def _case(self, turn: Said) -> Case:
        places = {id: line.place for id, line in self.lines.items()}
        languages = tuple(self.conversation.languages)
        said = frozenset(id for id, line in self.lines.items() if line.said.by == "person")
        spoken, scene = self._spoken(turn), self._scene()
        return Case(self.name, turn, languages, spoken, scene, turn.right(), self.ids, places, said)

    def _spoken(self, turn: Said) -> Spoken:
        return Spoken(
            text=self._text(turn.text or ""),
            files=self._files(turn),
            reply=self._referred(turn.reply_to),
            quote=self._text(turn.quote or ""),
            button=self._button(turn),
            at=turn.at.timestamp(),
        )

    def _referred(self, id: str | None) -> Referred | None:
        line = self.lines.get(id or "")
        return Referred(line.said.task, line.question, line.place) if line is not None else None

    def _button(self, turn: Said) -> str:
        """The data of the button that was pressed: the newest with its label, or the one under the line replied to."""
        if turn.button is None:
            return ""
        right = turn.right()
        if isinstance(right, Chosen):
            return buttons.which(self.lines[right.for_].place, self.ids[right.choose])
        under = [self.lines[turn.reply_to]] if turn.reply_to else list(self.lines.values())
        line = [line for line in under if turn.button in line.options][-1]
        return buttons.answer(line.question, line.options.index(turn.button) + 1)

    def _scene(self) -> Scene:
        newest = sorted(self.known.values(), key=lambda known: -known.changed)
        going = [known for known in newest if known.state not in FINAL]
        return Scene(
            topics=tuple(self._topic(known) for known in newest[:MOST_TOPICS]),
            recent=tuple(line.said for line in self.lines.values())[-MOST_RECENT:],
            open=len(going),
            waiting=sum(bool(known.asks) for known in going),
            which=tuple(self.ids[key] for key in self.which.which) if self.which is not None else (),
            asked=self.lines[self.which.for_].place if self.which is not None else 0,
        )

    def _topic(self, known: Known) -> Topic:
        said = [line.said for line in self.lines.values() if line.said.task == known.task]
        return Topic(
            task=known.task,
            title=known.title,
            name=known.name,
            state="input-required" if known.asks else known.state,
            hold=known.hold,
            opened=known.opened,
            changed=known.changed,
            asks=known.asks,
            files=tuple(file for line in reversed(said) for file in line.files if line.by == "person"),
            artifacts=known.artifacts,
            digests=known.digests,
            said=tuple(said[-MOST_SAID:]),
        )

    # --- what happens -------------------------------------------------------------------------

    def _begin(self, key: str, at: float) -> None:
        task = self.conversation.tasks[key]
        self.known[key] = Known(self.ids[key], task.title, task.agent, at, at)

    def _line(self, id: str, said: Utterance, question: str = "", options: tuple[str, ...] = ()) -> None:
        self.lines[id] = Line(said, len(self.lines) + 1, question, options)

    def _told(self, turn: Told) -> None:
        known, at = self.known[turn.host], turn.at.timestamp()
        question = f"{known.task}/{turn.id}" if turn.asks else ""
        options = tuple(turn.options)
        text = self._text(turn.text)
        known.changed = at
        if turn.asks:
            # A task's new question stands in the place of its last one.
            known.asks = (TopicQuestion(question, text, options, at),)
        if turn.artifact is not None:
            known.artifacts = (turn.artifact, *(one for one in known.artifacts if one != turn.artifact))
            known.digests = (digest(f"{known.task} {turn.id}".encode()), *known.digests)
        self._line(turn.id, Utterance("host", text, known.task, at), question, options)

    def _ended(self, turn: Ended) -> None:
        known = self.known[turn.ends]
        known.state, known.hold, known.asks = turn.state, "", ()

    def _said(self, turn: Said) -> None:
        at, right = turn.at.timestamp(), turn.right()
        files = tuple(file.name for file in turn.files)
        text = self._text(turn.edited or turn.text or turn.button or "")
        self._line(turn.id, Utterance("person", text, "", at, files))
        match right:
            case Filed(task=key):
                self._filed(turn.id, self._mistaken(turn.id, key), right.meaning)
            case New(new=key):
                self._begin(key, at)
                self._filed(turn.id, key, "steer")
            case Moved(move=moved, to=to, new=new):
                if new is not None:
                    self._begin(new, at)
                self._filed(moved, to or new or "", "steer")
                self.known[to or new or ""].changed = at
            case Chosen(choose=key, for_=moved):
                both = all(self.known[one].asks for one in self.which.which) if self.which is not None else False
                self.which = None
                self._filed(moved, key, "answer" if both else "steer")
                self.known[key].changed = at
            case _:
                pass

    def _filed(self, id: str, key: str, meaning: str) -> None:
        known, line = self.known[key], self.lines[id]
        line.said = msgspec.structs.replace(line.said, task=known.task)
        known.changed = line.said.at
        if meaning == "answer":
            known.asks = ()
        elif meaning == "pause":
            known.hold = "paused"
        elif meaning == "resume":
            known.hold = ""
        elif meaning == "again":
            known.state = "working"

    def _mistaken(self, id: str, key: str) -> str:
        """Where the host filed a message that its label says is for `key`: the task that it spoke for next, where the person says later that it was
        filed wrongly."""
        at = next(at for at, turn in enumerate(self.turns) if isinstance(turn, Said) and turn.id == id)
        after = self.turns[at + 1 :]
        rights = (turn.right() for turn in after if isinstance(turn, Said))
        if not any(isinstance(right, Moved) and right.move == id and right.to == key for right in rights):
            return key
        return next((turn.host for turn in after if isinstance(turn, Told)), key)

    def _files(self, turn: Said) -> tuple[FilePart, ...]:
        kinds = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "pdf": "application/pdf"}
        return tuple(
            FilePart(
                digest(f"{self.name} {turn.id} {file.name}".encode()),
                kinds.get(file.name.rpartition(".")[2].lower(), "application/octet-stream"),
                1000,
                file.name,
            )
            for file in turn.files
        )

    def _text(self, text: str) -> str:
        return PLACE.sub(lambda place: self.ids.get(place[1], place[0]), text)
