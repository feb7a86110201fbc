"""What routing is told of a conversation, made from its lines."""

from agenthost.core.conversations import Gathered, Line, Mentioned, Thread, Wanted
from agenthost.core.ids import root_id
from agenthost.core.routing import Referred, Scene, Spoken, Topic, TopicQuestion, Utterance
from agenthost.programs.routing import MESSAGE_TERMS, TOPIC_TERMS, buttons, commands, terms

SAID = 400
"""Letters of a line that routing looks at."""


def wanted(line: Line, referred: Line | None = None) -> Wanted:
    """What has to be gathered for a line that replies to `referred`."""
    press = buttons.read(line.button) if line.button else None
    named = (line.to, referred.task if referred is not None else "", press.task if press is not None else "")
    named += (press.question if press is not None else "", *commands.ids(line.text))
    tasks = tuple(dict.fromkeys(root(each) for each in named if each))
    return Wanted(tuple(terms(f"{line.text} {line.quote} {line.forwarded}")[:MESSAGE_TERMS]), tasks=tasks)


def quoted(words: str) -> str:
    """Words of somebody else as a person quotes them: what begins each line tells a task's program that they are no
    order."""
    return "\n".join(f"> {each}" for each in words.split("\n")) if words else ""


def said_by(line: Line) -> str:
    """What a line says to its task: without the chat command that it begins with, and then what it passes on."""
    return "\n\n".join(filter(None, (_own(line), quoted(line.forwarded))))


def _own(line: Line) -> str:
    said = commands.read(line.text)
    if said is None or said.meaning not in ("new", "steer"):
        return line.text
    if said.meaning == "new":
        return said.rest
    first, _, rest = said.rest.partition(" ")
    return rest.strip() if commands.ids(first) else said.rest


def words_of(line: Line, title: str = "") -> tuple[str, ...]:
    """By which words the task of a line is found."""
    return tuple(terms(" ".join([title, line.text, line.forwarded, *(file.name for file in line.files)]))[:TOPIC_TERMS])


def spoken(line: Line, referred: Line | None) -> Spoken:
    """A person's line as routing is asked about it. `referred` is what it replies to."""
    task, _, command = line.to.partition("/")
    reply = None
    if referred is not None and referred.task:
        reply = Referred(referred.task, referred.question if referred.state == "asked" else "", referred.place)
    named = line.to if command else ""
    return Spoken(line.text, line.files, root_id(task), named, reply, line.quote, line.button, line.at, line.forwarded)


def scene(gathered: Gathered, asked: Line | None) -> Scene:
    """A conversation as it is. `asked`: the person's line that the host asks about."""
    which: tuple[str, ...] = ()
    if asked is not None and asked.decision is not None:
        which = (*(candidate.task for candidate in asked.decision.candidates if candidate.task), "")
    topics = tuple(map(_topic, gathered.topics))
    recent = tuple(_utterance(line) for line in gathered.recent if not line.deleted)
    return Scene(topics, recent, gathered.open, gathered.waiting, which, asked.place if asked is not None else 0)


def _topic(mentioned: Mentioned) -> Topic:
    row, lines = mentioned.task, [line for line in mentioned.lines if not line.deleted]
    given = [file for line in reversed(lines) if line.by == "person" for file in line.files]
    made = [file for line in reversed(lines) if line.by == "host" for file in line.files]
    return Topic(
        row.id,
        row.title,
        row.name,
        row.state,
        row.hold,
        row.created,
        max((line.at for line in lines), default=row.created),
        tuple(question_of(line) for line in mentioned.questions),
        tuple(file.name for file in given if file.name),
        tuple(file.name for file in made if file.name),
        tuple(file.digest for file in (*given, *made)),
        tuple(map(_utterance, lines)),
    )


def question_of(line: Line) -> TopicQuestion:
    """A line of the host that is a question."""
    options = tuple(button.label for button in line.buttons)
    return TopicQuestion(line.question, line.text, options, line.at)


def _utterance(line: Line) -> Utterance:
    said = "\n".join(filter(None, (line.text, quoted(line.forwarded))))
    return Utterance(line.by, said[:SAID], line.task, line.at, tuple(file.name for file in line.files if file.name))


def option_of(line: Line, topics: tuple[Topic, ...]) -> str:
    """The option that a pressed button stands for; empty where it stands for none."""
    press = buttons.read(line.button) if line.button else None
    if press is None or press.verb != "answer":
        return ""
    asks = {ask.id: ask for topic in topics for ask in topic.asks}
    ask = asks.get(buttons.meant(press.question, asks))
    return ask.options[press.option - 1] if ask is not None and 0 < press.option <= len(ask.options) else ""


def thread_words(thread: Thread) -> str:
    """A conversation's name in words, as keys are made of it."""
    return f"{thread.namespace}\0{thread.person}\0{thread.conversation}"


def root(question: str) -> str:
    """The root task of a question (`TASK/COMMAND`)."""
    return root_id(question.partition("/")[0])
