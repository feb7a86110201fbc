"""What finding a message's task costs without the model: the reads of a conversation with many tasks, the rules, the ranking and what a
model would be told. Beside it the least that a host could do: read one line from the same store, and the scene's JSON."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agenthost.core.conversations import Line
from agenthost.core.routing import Scene, Spoken
from agenthost.host.conversing import scenes
from agenthost.programs.routing import TOPIC_TERMS, decide, terms
from agenthost.programs.routing.digest import MOST_TOKENS, digest
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.conversations import SQLiteConversations
from bench import placing
from bench.processes import NotMeasured
from bench.records import median, pairwise
from bench.routing_world import FOR, THINGS, THREAD, line, task, title
from bench.setting import OURS, Setting

SUITE = "routing"
TASKS = 10_000
MESSAGES = 200
PLACED = 100
WHOLE, TIMES_LINE, TIMES_READ = (
    "a message routed",
    "a message routed, times one line read",
    "deciding, times reading the scene",
)


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    try:
        asyncio.run(_measure(setting))
        asyncio.run(placing.measure(setting, min(TASKS, setting.scale.tasks), min(PLACED, setting.scale.tasks // 10)))
    except NotMeasured as reason:
        setting.results.missing(SUITE, OURS, WHOLE, "ms", str(reason))


async def _measure(setting: Setting) -> None:
    count = min(TASKS, setting.scale.tasks)
    folder = setting.folder / "routing"
    folder.mkdir(parents=True, exist_ok=True)
    setting.tell(f"routing beside {count:,} tasks of one conversation")
    store = SQLiteStore(Path(folder) / "agenthost.db")
    await store.open()
    try:
        kept = SQLiteConversations(store)
        place = await _fill(store, kept, count)
        await _time(setting, kept, place, count)
    finally:
        await store.close()


async def _fill(store: SQLiteStore, kept: SQLiteConversations, count: int) -> int:
    """One task a line, most of them ended; the place of a line."""
    place = 0
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        await asyncio.gather(*(store.create(task(number)) for number in numbers))
        added = await asyncio.gather(
            *(kept.add([line(number)], terms(title(number), TOPIC_TERMS)) for number in numbers)
        )
        place = added[-1][0].place
    return place


async def _time(setting: Setting, kept: SQLiteConversations, place: int, count: int) -> None:
    gathered: list[float] = []
    decided: list[float] = []
    one_line: list[float] = []
    read: list[float] = []
    tokens = 0
    for number in range(MESSAGES):
        text = f"how about the {THINGS[number % len(THINGS)]}, could the {FOR[number % len(FOR)]} have another in green by Tuesday"
        said = Line(THREAD.conversation, "now", "person", "message", 2e9, text)
        began = time.perf_counter()
        await kept.line(place)
        one_line.append(time.perf_counter() - began)
        began = time.perf_counter()
        scene = scenes.scene(await kept.gather(THREAD, scenes.wanted(said)), None)
        gathered.append(time.perf_counter() - began)
        body = msgspec.json.encode(scene)
        began = time.perf_counter()
        msgspec.json.decode(body, type=Scene)
        read.append(time.perf_counter() - began)
        began = time.perf_counter()
        told = _decided(scenes.spoken(said, None), scene)
        decided.append(time.perf_counter() - began)
        tokens = max(tokens, told)
    if tokens > MOST_TOKENS:
        raise NotMeasured(f"a digest has {tokens} tokens")
    _add(setting, count, (gathered, decided, one_line, read), tokens)


def _decided(spoken: Spoken, scene: Scene) -> int:
    """Everything that a host does before it asks a model; the tokens that it would ask with."""
    decide(spoken, scene)
    return digest(spoken, scene).tokens


def _add(setting: Setting, count: int, times: Sequence[Sequence[float]], tokens: int) -> None:
    gathered, decided, one_line, read = times
    whole = [one + other for one, other in zip(gathered, decided, strict=True)]
    add = setting.results.add
    add(SUITE, OURS, "tasks of the conversation", count, "")
    add(SUITE, OURS, "tasks gathered, p50", median(gathered) * 1000, "ms")
    add(SUITE, OURS, "decided, ranked and told, p50", median(decided) * 1000, "ms")
    add(SUITE, OURS, WHOLE, median(whole) * 1000, "ms")
    add(SUITE, OURS, TIMES_LINE, pairwise(whole, one_line), "x")
    add(SUITE, OURS, TIMES_READ, pairwise(decided, read), "x")
    add(SUITE, OURS, "tokens of a request, at most", tokens, "")
