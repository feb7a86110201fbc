"""What a message costs through the whole of a host, from `place` until it is filed, in a conversation of many tasks; and until a small model would be asked,
where no rule is sure. Beside each the floor: one committed row in a database of its own on the same disk, synced as ours is."""

import asyncio
import sqlite3
import time
from collections import defaultdict
from pathlib import Path

from msgspec.structs import replace

from agenthost.core.api import Incoming, Placed
from agenthost.core.ports import Filter, NewTask
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.programs.routing import TOPIC_TERMS, terms
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.conversations import SQLiteConversations
from bench.processes import NotMeasured
from bench.records import median, pairwise
from bench.routing_world import FOR, THINGS, THREAD, line, task, title
from bench.setting import OURS, Setting

SUITE = "routing"
OPEN = 20
"""Tasks that wait for an answer, beside all that have ended."""
REST = 0.05
"""Seconds between two messages: what the one before set going has ended."""

FLOOR = "one committed row, p50"
KINDS = {
    "reply": "a reply, until it is filed",
    "chat": "small talk, until it is filed",
    "new": "a message that begins a task, until it is filed",
    "asked": "a message that no rule decides, until a model is asked",
}
ASKED = f"{KINDS['asked']}, p50"

ASKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: Asks, instructions: Ask., tools: [ask]}
"""
PLAYS = """\
rules:
  - when: {purpose: route}
    reply: {text: '{"task": 1, "meaning": "steer", "confidence": 0.9}'}
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""


async def measure(setting: Setting, count: int, messages: int) -> None:
    """Add the figures of a conversation of `count` tasks, of so many messages of each kind."""
    home = setting.folder / "placing"
    home.mkdir(parents=True, exist_ok=True)
    (home / "plays.yaml").write_text(PLAYS, encoding="utf-8")
    (home / "agenthost.toml").write_text('[routing]\nmodel = "default"\nagent = "asker"\n', encoding="utf-8")
    setting.tell(f"messages through a host with {count:,} tasks in one conversation")
    await _fill(home, count)
    host = await open_host(load(home, {"AGENTHOST_MODEL": f"scripted:{home}/plays.yaml"}), work=True)
    try:
        await host.apply({"asker.yaml": ASKER})
        for number in range(OPEN):
            await _say(host, f"/new paint number {number}", f"n{number}")
        found, floors = await _time(host, home, messages)
    finally:
        await host.close()
    add = setting.results.add
    add(SUITE, OURS, FLOOR, median([each for floor in floors.values() for each in floor]) * 1000, "ms")
    for kind, name in KINDS.items():
        ordered = sorted(found[kind])
        add(SUITE, OURS, f"{name}, p50", median(ordered) * 1000, "ms")
        add(SUITE, OURS, f"{name}, p95", ordered[len(ordered) * 95 // 100] * 1000, "ms")
        add(SUITE, OURS, f"{name}, times one committed row", pairwise(found[kind], floors[kind]), "x")


async def _fill(home: Path, count: int) -> None:
    store = SQLiteStore(home / "agenthost.db")
    await store.open()
    try:
        kept = SQLiteConversations(store)
        for start in range(0, count, 500):
            numbers = range(start, min(start + 500, count))
            await asyncio.gather(*(store.create(_ended(task(number))) for number in numbers))
            await asyncio.gather(*(kept.add([line(number)], terms(title(number), TOPIC_TERMS)) for number in numbers))
    finally:
        await store.close()


def _ended(new: NewTask) -> NewTask:
    return replace(new, row=replace(new.row, state="completed", owner=""))


async def _say(host: Host, text: str, key: str, reply_to: str = "") -> Placed:
    return await host.place(
        Incoming(text, conversation=THREAD.conversation, key=key, channel="chat", reply_to=reply_to)
    )


async def _time(host: Host, home: Path, messages: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds by kind, and of the row that was committed right before each."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    floors: defaultdict[str, list[float]] = defaultdict(list)
    database = sqlite3.connect(home / "floor.db", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE rows (body BLOB)")
        for number in range(messages):
            thing, whose = THINGS[number % len(THINGS)], FOR[number % len(FOR)]
            texts = {
                "reply": f"could the {whose} have another one in green",
                "chat": "thank you",
                "new": f"/new paint the {thing}",
                "asked": f"how about the {thing}, could the {whose} have another in green by Tuesday",
            }
            for kind, text in texts.items():
                await asyncio.sleep(REST)
                floors[kind].append(_committed(database))
                reply_to = f"n{number % OPEN}" if kind == "reply" else ""
                began, at = time.perf_counter(), time.time()
                placed = await _say(host, text, f"{kind}{number}", reply_to)
                took = time.perf_counter() - began
                found[kind].append(took if kind != "asked" else await _asked(host, placed) - at)
    finally:
        database.close()
    return found, floors


def _committed(database: sqlite3.Connection) -> float:
    began = time.perf_counter()
    database.execute("INSERT INTO rows VALUES (?)", (bytes(400),))
    return time.perf_counter() - began


async def _asked(host: Host, placed: Placed) -> float:
    """When the small model was asked: its task began then."""
    if placed.decision is None or placed.decision.rule != "model":
        raise NotMeasured("a rule decided what should have been asked of a model")
    (row,) = await host.tasks(Filter(name="routing", limit=1))
    return row.created
