"""Which tasks the words of a message name: words of a title that no other title has, and files by their names."""

from collections.abc import Sequence

from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Scene, Spoken, Topic
from agenthost.programs.routing.text import plain, sought, terms


def going(scene: Scene) -> list[Topic]:
    """The tasks shown that go on."""
    return [topic for topic in scene.topics if topic.state not in FINAL]


def named(text: str, topics: Sequence[Topic], numbers: bool = False) -> list[Topic]:
    """The tasks of whose title the text has a word that no other title has; with `numbers`, also a number."""
    titles = [plain(topic.title) for topic in topics]
    found: dict[int, None] = {}
    for term in terms(text, 60):
        if numbers or not term.isdecimal():
            key = sought(term)
            having = [at for at, title in enumerate(titles) if key in title]
            if len(having) == 1:
                found[having[0]] = None
    return [topics[at] for at in sorted(found)]


def with_content(spoken: Spoken, topics: Sequence[Topic]) -> list[Topic]:
    """The tasks that have a file of the message, by its content."""
    digests = {file.digest for file in spoken.files}
    return [topic for topic in topics if digests & set(topic.digests)] if digests else []


def with_name(spoken: Spoken, topics: Sequence[Topic]) -> list[Topic]:
    """The tasks that have a file of the same name as one of the message, or whose name its text writes out."""
    names = {file.name.lower() for file in spoken.files if file.name}
    text = spoken.text.lower()
    found: list[Topic] = []
    for topic in topics:
        its = {name.lower() for name in (*topic.files, *topic.artifacts)}
        if names & its or any(len(name) > 4 and name in text for name in its):
            found.append(topic)
    return found


def words_of(topic: Topic) -> set[str]:
    """What a task can be known by: its title, its question, and what was said for it."""
    lines = (topic.title, *(ask.text for ask in topic.asks), *(line.text for line in topic.said))
    return set(terms(" ".join(lines), 200))


def length(text: str) -> int:
    """How many words a text has; two letters of writing without spaces count as one."""
    words = plain(text).split()
    return sum(1 if word.isascii() else max(1, len(word) // 2) if _dense(word) else 1 for word in words)


def _dense(word: str) -> bool:
    return "\u3040" <= word[0] <= "\u9fff" or "\u0e00" <= word[0] <= "\u0e7f"
