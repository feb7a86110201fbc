"""The rules that find a message's task without asking anybody, in their order; each is sure of itself or says nothing.

What a person said outright comes first (an id, a button, a reply, a command), then what their answer to our own question
says, then what can be seen from words and files. Where no rule is sure, a model is asked, and then the person.
"""

from collections.abc import Callable, Iterable

from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Decision, Meaning, Scene, Spoken, Topic, TopicQuestion, Utterance
from agenthost.programs.routing import buttons, commands, fits, lexicon, seen
from agenthost.programs.routing.ranking import MOST_CANDIDATES, rank
from agenthost.programs.routing.text import plain

Rule = Callable[[Spoken, Scene], Decision | None]


def decide(spoken: Spoken, scene: Scene) -> Decision | None:
    """Which task a message is for and what it is to it, where a rule is sure of it; else None."""
    for rule in OUTRIGHT if spoken.forwarded else RULES:
        decision = rule(spoken, scene)
        if decision is not None:
            return decision
    return None


# --- what was said outright -------------------------------------------------------------------


def given(spoken: Spoken, scene: Scene, task: str) -> Decision:
    """What a message is to the task that a person says it is for. A task that waits for a free answer hears nothing else, so
    that it is the answer, unless it asks, orders or wishes something of its own."""
    topic = next((topic for topic in scene.topics if topic.task == task), None)
    if topic is not None and topic.state in FINAL:
        return Decision("again", task)
    asked, text = _asked(topic, ""), spoken.text
    if asked is not None and (fits.fits(asked, text) or (not asked.options and _free(spoken))):
        return Decision("answer", task, asked.id)
    return Decision("steer", task)


def _free(spoken: Spoken) -> bool:
    text = spoken.text
    if not text.strip():
        return bool(spoken.files)
    wishes = lexicon.says(lexicon.WANT, plain(text)) or lexicon.begins(lexicon.NEW_THING, plain(text))
    return not (spoken.forwarded or fits.asks(text) or wishes or seen.order(text) or commands.read(text))


def button(spoken: Spoken, scene: Scene) -> Decision | None:
    """A button was pressed."""
    press = buttons.read(spoken.button) if spoken.button else None
    if press is None:
        return None
    if press.verb == "list":
        return Decision("list", rule="button")
    if press.verb == "answer":
        question = buttons.meant(press.question, (ask.id for topic in scene.topics for ask in topic.asks))
        return Decision("answer", _holder(scene, question), question, "button") if question else None
    known = (*(topic.task for topic in scene.topics), *scene.which)
    task = buttons.meant(press.task, known)
    if press.verb == "which":
        return Decision("choose", task, rule="button", line=press.line) if task or not press.task else None
    return Decision(press.verb, task, rule="button") if task else None


def named(spoken: Spoken, scene: Scene) -> Decision | None:
    """Whoever sent it said which task, or which question."""
    if not spoken.task and not spoken.question:
        return None
    task = spoken.task or _holder(scene, spoken.question)
    return _for(spoken, scene, task, "explicit", spoken.question)


def command(spoken: Spoken, scene: Scene) -> Decision | None:
    """A chat command, with the task that it names; where it names none, the only one that it can be for."""
    said = commands.read(spoken.text)
    if said is None:
        return None
    if said.meaning in ("list", "chat", "new"):
        return Decision(said.meaning, rule="command")
    task = _pointed(said.rest, scene) or (spoken.reply.task if spoken.reply is not None else "")
    if said.meaning == "move":
        line = spoken.reply.line if spoken.reply is not None else 0
        new = lexicon.is_one(lexicon.NEW, plain(said.rest))
        task = _pointed(said.rest, scene)
        return Decision("move", task, rule="command", line=line) if task or new else _unsure(spoken, scene, "command")
    if not task:
        can = [topic.task for topic in scene.topics if _can(said.meaning, topic)]
        if len(can) != 1 or (said.meaning != "again" and scene.open > 1):
            return _unsure(spoken, scene, "command")
        task = can[0]
    if said.meaning == "steer":
        rest = said.rest.removeprefix("#").removeprefix(task).strip()
        return (
            Decision("progress", task, rule="command") if not rest else _for(spoken, scene, task, "command", "", rest)
        )
    return Decision(said.meaning, task, rule="command")


def written(spoken: Spoken, scene: Scene) -> Decision | None:
    """The id of one task is written out in the text."""
    ids = commands.ids(spoken.text)
    if len(ids) != 1:
        return None
    return _for(spoken, scene, ids[0], "explicit", "", spoken.text.replace("#" + ids[0], "").replace(ids[0], ""))


def reply(spoken: Spoken, scene: Scene) -> Decision | None:
    """It replies to a line that belongs to a task."""
    referred = spoken.reply
    if referred is None or not referred.task:
        return None
    return _for(spoken, scene, referred.task, "reply", referred.question)


def quote(spoken: Spoken, scene: Scene) -> Decision | None:
    """It quotes words that were said for one task only."""
    quoted = plain(spoken.quote)
    if not quoted.strip():
        return None
    tasks = {line.task for line in _lines(scene) if line.task and quoted in plain(line.text)}
    asked = [ask.id for topic in scene.topics for ask in topic.asks if quoted in plain(ask.text)]
    return _for(spoken, scene, tasks.pop(), "quote", asked[0] if len(asked) == 1 else "") if len(tasks) == 1 else None


RULES: tuple[Rule, ...] = (
    button,
    named,
    command,
    written,
    reply,
    quote,
    seen.which,
    seen.chat,
    seen.nothing_known,
    seen.listing,
    seen.meant_for,
    seen.resumed,
    seen.ordered,
    seen.option,
    seen.something_else,
    seen.file,
    seen.title,
    seen.correction,
    seen.bare_file,
    seen.only_open,
    seen.want,
)

OUTRIGHT: tuple[Rule, ...] = (button, named, command, written, reply, quote, seen.nothing_known)
"""Those that go by what a person does, not by words: what they pass on for somebody else says nothing of what they mean."""


# --- what a message is to a task that is known ---------------------------------------------------


def _for(
    spoken: Spoken, scene: Scene, task: str, rule: str, question: str = "", text: str | None = None
) -> Decision | None:
    """What a message is to the task that it is for."""
    text = spoken.text if text is None else text
    topic = next((topic for topic in scene.topics if topic.task == task), None)
    asked = _asked(topic, question)
    if spoken.question or (topic is None and question):
        return Decision("answer", task, question, rule)
    if topic is not None and topic.state in FINAL:
        return Decision("again", task, rule=rule)
    passed_on = bool(spoken.forwarded) and not text.strip()
    if asked is not None and (fits.fits(asked, text) or (question and (passed_on or fits.little(text)))):
        return Decision("answer", task, asked.id, rule)
    return Decision(seen.order_beside(text) or "steer", task, rule=rule)


def _holder(scene: Scene, question: str) -> str:
    """The task of the conversation that a question (`TASK/COMMAND`, also of a child) is of."""
    has = (topic.task for topic in scene.topics if any(ask.id == question for ask in topic.asks))
    return next(has, root_id(question.partition("/")[0]))


def _asked(topic: Topic | None, question: str) -> TopicQuestion | None:
    """The question that is meant: the one replied to while it is open, else the task's only one."""
    if topic is None or not topic.asks:
        return None
    if question:
        return next((ask for ask in topic.asks if ask.id == question), None)
    return topic.asks[0] if len(topic.asks) == 1 else None


def _pointed(words: str, scene: Scene) -> str:
    """The task that words after a command name: by its id, its number in the list, or words of one title alone."""
    ids = commands.ids(words)
    if ids:
        return ids[0]
    number = words.strip().removeprefix("#")
    if number.isdecimal():
        at = int(number[:4])
        return scene.topics[at - 1].task if 0 < at <= len(scene.topics) else ""
    said = plain(words)
    having = [topic.task for topic in scene.topics if said.strip() and said in plain(topic.title)]
    return having[0] if len(having) == 1 else ""


def _can(meaning: Meaning, topic: Topic) -> bool:
    """Whether a task can be told that at all."""
    if meaning == "again":
        return topic.state in FINAL
    if topic.state in FINAL:
        return False
    return bool(topic.hold) if meaning == "resume" else meaning != "pause" or not topic.hold


def _unsure(spoken: Spoken, scene: Scene, rule: str) -> Decision:
    """Somebody must be asked which: the likeliest first."""
    return Decision("unsure", rule=rule, confidence=0.0, candidates=rank(spoken, scene.topics)[:MOST_CANDIDATES])


def _lines(scene: Scene) -> Iterable[Utterance]:
    yield from scene.recent
    for topic in scene.topics:
        yield from topic.said
