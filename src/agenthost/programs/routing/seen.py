"""The rules that go by words, files and open questions: each looks for one sure sign, and says nothing where anything speaks against it."""

from collections.abc import Iterable

from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Candidate, Decision, Meaning, Scene, Spoken, Topic, TopicQuestion
from agenthost.programs.routing import fits, lexicon
from agenthost.programs.routing.targets import going, length, named, with_content, with_name, words_of
from agenthost.programs.routing.text import plain, terms

MOMENT = 15 * 60.0
"""Seconds within which people mend what they said, or send what belongs to it."""

SOON = 12 * 3600.0
"""Seconds after which words alone aren't taken for the answer to a question any more."""


CHOICE = 6
"""The most words with which somebody says which one they mean."""


def which(spoken: Spoken, scene: Scene) -> Decision | None:
    """The host asked for which task an earlier message is: a number, words that only one of them has, or `new`."""
    # What is taken for the choice is said to no task: whoever writes more than that says something else as well.
    if not scene.which or spoken.files or fits.asks(spoken.text) or length(spoken.text) > CHOICE:
        return None
    counted = fits.number(spoken.text)
    if 0 < counted <= len(scene.which):
        return Decision("choose", scene.which[counted - 1], rule="which", line=scene.asked)
    if "" in scene.which and lexicon.is_one(lexicon.NEW, plain(spoken.text)):
        return Decision("choose", "", rule="which", line=scene.asked)
    offered = [topic for topic in scene.topics if topic.task in scene.which]
    if len(offered) < 2:
        return None
    said = set(terms(spoken.text))
    meant = named(spoken.text, offered, numbers=True) or [topic for topic in offered if said & words_of(topic)]
    return Decision("choose", meant[0].task, rule="which", line=scene.asked) if len(meant) == 1 else None


def chat(spoken: Spoken, scene: Scene) -> Decision | None:
    """A greeting or thanks, and nothing else."""
    said = plain(spoken.text)
    # A smile alone, too, is a yes to somebody.
    wordless = bool(spoken.text.strip()) and not any(letter.isalnum() for letter in spoken.text)
    if spoken.files or not (wordless or lexicon.is_all(lexicon.KIND, said)):
        return None
    if (wordless or lexicon.is_all(lexicon.PRAISE, said)) and any(_waiting(scene)):
        return None
    return Decision("chat", rule="chat")


def listing(spoken: Spoken, scene: Scene) -> Decision | None:
    """It asks what there is."""
    said = plain(spoken.text)
    if spoken.files or length(spoken.text) > 12 or named(spoken.text, scene.topics):
        return None
    asked = lexicon.says(lexicon.LIST, said) or lexicon.is_one(lexicon.LIST_WORD, said)
    return Decision("list", rule="list") if asked else None


def meant_for(spoken: Spoken, scene: Scene) -> Decision | None:
    """What was said last was meant for another task, which is named."""
    last = next((line for line in reversed(scene.recent) if line.by == "person"), None)
    if last is None or not last.task or spoken.files or not lexicon.says(lexicon.MEANT, plain(spoken.text)):
        return None
    other = [topic for topic in named(spoken.text, scene.topics) if topic.task != last.task]
    if len(other) != 1 or length(spoken.text) > 16:
        return None
    return Decision("move", other[0].task, rule="meant")


def resumed(spoken: Spoken, scene: Scene) -> Decision | None:
    """It says to go on, and only one task rests."""
    resting = [topic for topic in going(scene) if topic.hold]
    said = plain(spoken.text)
    if len(resting) != 1 or not (lexicon.says(lexicon.RESUME, said) or lexicon.is_one(lexicon.RESUME_WORD, said)):
        return None
    if length(spoken.text) > fits.MOST_WORDS or _forwarded(spoken.text):
        return None
    if any(topic.task != resting[0].task for topic in named(spoken.text, going(scene))):
        return None
    return Decision("resume", resting[0].task, rule="resume")


def ordered(spoken: Spoken, scene: Scene) -> Decision | None:
    """A short order or question about a task (stop it, let it rest, how far is it) that is named, or the only one that goes on."""
    meaning = order(spoken.text)
    if meaning is None or spoken.files:
        return None
    open_ones = going(scene)
    meant = named(spoken.text, scene.topics)
    if not meant and len(open_ones) == 1 and scene.open <= 1:
        # Where nothing is named, what ends or stops work must be the whole of what is said.
        meant = open_ones if meaning == "progress" or length(spoken.text) <= 5 else []
    if len(meant) != 1 or meant[0].state in FINAL:
        return None
    return Decision(meaning, meant[0].task, rule=meaning)


def order(text: str) -> Meaning | None:
    """What a short text orders or asks of a task."""
    said = plain(text)
    if length(text) > fits.MOST_WORDS or _forwarded(text):
        return None
    return next((meaning for meaning, table in lexicon.ORDERS.items() if lexicon.says(table, said)), None)


def order_beside(text: str) -> Meaning | None:
    """What a text orders or asks of a task that is named beside it: a word is enough."""
    said = plain(text)
    if lexicon.is_one(lexicon.STAND, said) or (length(text) <= 4 and lexicon.begins(lexicon.HOW_MANY, said)):
        return "progress"
    ends = lexicon.begins(lexicon.END, said) and (length(text) <= 3 or fits.first_alone(text))
    return "cancel" if ends else order(text)


def option(spoken: Spoken, scene: Scene) -> Decision | None:
    """It is what one open question asks for, and no other: one of its options, yes or no, a number, a day."""
    waiting = list(_waiting(scene))
    if not waiting or spoken.files:
        return None
    fitting = [(topic, ask) for topic, ask in waiting if fits.fits(ask, spoken.text)]
    if not fitting or _other(spoken, scene, [topic for topic, _ in fitting]):
        return None
    if len(fitting) > 1:
        return _between((topic for topic, _ in fitting), "option") if length(spoken.text) <= 2 else None
    topic, ask = fitting[0]
    return Decision("answer", topic.task, ask.id, "only-waiting" if len(waiting) == 1 else "option")


def nothing_known(spoken: Spoken, scene: Scene) -> Decision | None:
    """There is no task that it could be for."""
    if scene.topics or scene.open or scene.which:
        return None
    return Decision("new", rule="nothing-known")


def file(spoken: Spoken, scene: Scene) -> Decision | None:
    """One task alone has the very file that comes with it, or one of its name where no words come with it, or the file that it names."""
    same = with_content(spoken, scene.topics)
    named_so = [] if same else with_name(spoken, scene.topics)
    having = same or named_so
    if not having or (not same and spoken.files and spoken.text.strip()) or _other(spoken, scene, having):
        return None
    if len(having) > 1:
        return _between(having, "file")
    return None if having[0].asks else Decision(_further(having[0]), having[0].task, rule="file")


def title(spoken: Spoken, scene: Scene) -> Decision | None:
    """It begins with words of one title alone and a colon."""
    head, colon, rest = spoken.text.partition(":")
    if not colon or "\n" in head or length(head) > 4 or not rest.strip() or _forwarded(head):
        return None
    meant = named(head, scene.topics)
    return None if len(meant) != 1 or meant[0].asks else Decision(_further(meant[0]), meant[0].task, rule="name")


def correction(spoken: Spoken, scene: Scene) -> Decision | None:
    """It mends what the same person said a moment ago, and nothing else was spoken of since."""
    mine = scene.recent[-1] if scene.recent else None
    if mine is None or mine.by == "host" or spoken.files or spoken.at - mine.at > MOMENT:
        return None
    if not lexicon.begins(lexicon.CORRECTION, plain(spoken.text)) or fits.asks(spoken.text):
        return None
    topic = next((topic for topic in scene.topics if topic.task == mine.task), None)
    if topic is None or topic.asks or _other(spoken, scene, [topic]):
        return None
    return Decision(_further(topic), topic.task, rule="correction")


def bare_file(spoken: Spoken, scene: Scene) -> Decision | None:
    """Files without words: what the only open question asks for, or right after what the same person said."""
    if not spoken.files or spoken.text.strip() or not scene.recent:
        return None
    last = scene.recent[-1]
    topic = next((topic for topic in going(scene) if topic.task == last.task), None)
    if topic is None:
        return None
    waiting = list(_waiting(scene))
    if last.by == "person" and spoken.at - last.at < MOMENT and not waiting:
        return Decision("steer", topic.task, rule="bare-file")
    if len(waiting) == 1 and topic.asks and not topic.asks[0].options and spoken.at - last.at < SOON:
        return Decision("answer", topic.task, topic.asks[0].id, "bare-file")
    return None


def only_open(spoken: Spoken, scene: Scene) -> Decision | None:
    """Few words right after an open question, of the only task that goes on; what they can be isn't offered."""
    open_ones = going(scene)
    if len(open_ones) != 1 or scene.open > 1 or not scene.recent or spoken.files or not spoken.text.strip():
        return None
    topic, last = open_ones[0], scene.recent[-1]
    if len(topic.asks) != 1 or topic.asks[0].options or last.by != "host" or last.task != topic.task:
        return None
    said = plain(spoken.text)
    if spoken.at - last.at > SOON or length(spoken.text) > fits.MOST_WORDS or _forwarded(spoken.text):
        return None
    if fits.asks(spoken.text) or order(spoken.text) or lexicon.says(lexicon.WANT, said):
        return None
    if lexicon.begins(lexicon.CHAT, said) or _other(spoken, scene, open_ones):
        return None
    return Decision("answer", topic.task, topic.asks[0].id, "only-open")


def want(spoken: Spoken, scene: Scene) -> Decision | None:
    """It wishes for something, in words of which no task that is known has any."""
    said = terms(spoken.text)
    if len(said) < 4 or not lexicon.says(lexicon.WANT, plain(spoken.text)):
        return None
    return None if any(words_of(topic) & set(said) for topic in scene.topics) else Decision("new", rule="want")


def something_else(spoken: Spoken, scene: Scene) -> Decision | None:
    """It begins with saying that it is about something else."""
    if not lexicon.begins(lexicon.NEW_THING, plain(spoken.text)) or named(spoken.text, going(scene)):
        return None
    return Decision("new", rule="something-else")


def _waiting(scene: Scene) -> Iterable[tuple[Topic, TopicQuestion]]:
    return ((topic, ask) for topic in scene.topics for ask in topic.asks)


def _other(spoken: Spoken, scene: Scene, these: list[Topic]) -> bool:
    """Whether it names a task that isn't among these."""
    tasks = {topic.task for topic in these}
    return any(topic.task not in tasks for topic in named(spoken.text, scene.topics))


def _further(topic: Topic) -> Meaning:
    return "again" if topic.state in FINAL else "steer"


def _between(topics: Iterable[Topic], rule: str) -> Decision:
    """It is for one of these, and only the person can say which."""
    candidates = tuple(Candidate(topic.task, 0.5) for topic in topics)
    return Decision("unsure", rule=rule, confidence=0.0, candidates=candidates)


def _forwarded(text: str) -> bool:
    return any(mark in text for mark in '\n«»„“”"「」') or text.lower().startswith(("fwd", "fw:", "wg:"))
