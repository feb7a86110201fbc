"""Scenes of conversations for the tests of routing."""

from typing import Any

from hypothesis import strategies as st

from agenthost.core.ids import digest, task_id
from agenthost.core.parts import FilePart
from agenthost.core.routing import Referred, Scene, Spoken, Topic, TopicQuestion, Utterance

POSTER, LETTER, TRIP = (task_id(1_760_000_000_000, at) for at in (1, 2, 3))
NOW = 1_760_000_600.0


def topic(task: str, title: str, *asked: str, question: str = "", **more: Any) -> Topic:
    """A task; with `question`, one that waits for its answer, of those options."""
    asks = (TopicQuestion(f"{task}/q1", question, asked, NOW - 60),) if question else ()
    state = more.pop("state", "input-required" if asks else "working")
    return Topic(task, title, "helper", state, asks=asks, changed=NOW - 60, **more)


def scene(*topics: Topic, **more: Any) -> Scene:
    """A conversation of these tasks."""
    going = [one for one in topics if one.state not in ("completed", "failed", "canceled", "rejected")]
    return Scene(topics, open=len(going), waiting=sum(bool(one.asks) for one in going), **more)


def said(text: str, **more: Any) -> Spoken:
    return Spoken(text, at=NOW, **more)


def file(name: str, content: bytes = b"") -> FilePart:
    return FilePart(digest(content or name.encode()), "image/png", 10, name)


# --- anything that may come ------------------------------------------------------------------------

ids = st.sampled_from([task_id(1_760_000_000_000, at) for at in range(6)])
moments = st.floats(0, 2e9)
words = st.sampled_from(
    [
        "yes",
        "2",
        "stop",
        "/cancel",
        "/task",
        "weiter gehts",
        "the poster",
        "取消",
        "хорошо",
        "no,",
        "?",
        "#",
        ":",
        "thanks",
        "make me a",
    ]
)
texts = st.one_of(
    st.text(max_size=60),
    st.lists(words, max_size=6).map(" ".join),
    st.text(st.characters(codec="utf-8"), max_size=600),
    ids,
)
short = st.one_of(st.text(max_size=30), words)
questions = st.builds(
    TopicQuestion,
    id=ids.map(lambda id: f"{id}/q"),
    text=texts,
    options=st.lists(short, max_size=4).map(tuple),
    at=moments,
)
lines = st.builds(
    Utterance, by=st.sampled_from(["person", "host"]), text=texts, task=st.one_of(st.just(""), ids), at=moments
)
topics = st.builds(
    Topic,
    task=ids,
    title=texts,
    name=short,
    state=st.sampled_from(["submitted", "working", "input-required", "completed", "failed", "canceled"]),
    hold=st.sampled_from(["", "paused"]),
    opened=moments,
    changed=moments,
    asks=st.lists(questions, max_size=2).map(tuple),
    files=st.lists(short, max_size=3).map(tuple),
    artifacts=st.lists(short, max_size=3).map(tuple),
    said=st.lists(lines, max_size=4).map(tuple),
)
scenes = st.builds(
    Scene,
    topics=st.lists(topics, max_size=6, unique_by=lambda one: one.task).map(tuple),
    recent=st.lists(lines, max_size=8).map(tuple),
    open=st.integers(0, 10_000),
    waiting=st.integers(0, 10),
    which=st.one_of(st.just(()), st.lists(st.one_of(st.just(""), ids), max_size=5, unique=True).map(tuple)),
    asked=st.integers(0, 1000),
)
messages = st.builds(
    Spoken,
    text=texts,
    files=st.lists(short.map(lambda name: FilePart("sha256:0", "image/png", 1, name)), max_size=2).map(tuple),
    reply=st.one_of(
        st.none(), st.builds(Referred, task=st.one_of(st.just(""), ids), question=ids.map(lambda id: f"{id}/q"))
    ),
    quote=short,
    button=st.one_of(st.just(""), short),
    at=moments,
)
