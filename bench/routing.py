"""What finding a message's task costs without the model: the reads of a conversation with many tasks, the rules, the ranking and what a
model would be told. Beside it the least that a host could do: read one line from the same store, and the scene's JSON."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agenthost.core.conversations import Line, Thread
from agenthost.core.events import VERSION
from agenthost.core.ids import task_id
from agenthost.core.ports import NewTask, StoredEvent
from agenthost.core.routing import Scene, Spoken
from agenthost.core.tasks import TaskRow
from agenthost.host.conversing import scenes
from agenthost.programs.routing import TOPIC_TERMS, decide, terms
from agenthost.programs.routing.digest import MOST_TOKENS, digest
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.conversations import SQLiteConversations
from bench.processes import NotMeasured
from bench.records import median, pairwise
from bench.setting import OURS, Setting

SUITE = "routing"
TASKS = 10_000
MESSAGES = 200
WHOLE, TIMES_LINE, TIMES_READ = (
    "a message routed",
    "a message routed, times one line read",
    "deciding, times reading the scene",
)
THREAD = Thread("default", "owner", "bench")

_THINGS = [
    "poster",
    "letter",
    "trip",
    "budget",
    "garden",
    "website",
    "invoice",
    "recipe",
    "lesson",
    "photo",
    "contract",
    "shelf",
    "engine",
    "menu",
    "translation",
]
_FOR = [
    "school",
    "party",
    "landlord",
    "bakery",
    "club",
    "grandmother",
    "office",
    "neighbours",
    "wedding",
    "workshop",
    "library",
    "kitchen",
    "festival",
    "team",
]


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    try:
        asyncio.run(_measure(setting))
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
        await asyncio.gather(*(store.create(_task(number)) for number in numbers))
        added = await asyncio.gather(
            *(kept.add([_line(number)], terms(_title(number), TOPIC_TERMS)) for number in numbers)
        )
        place = added[-1][0].place
    return place


def _title(number: int) -> str:
    thing, whose = _THINGS[number % len(_THINGS)], _FOR[number // len(_THINGS) % len(_FOR)]
    return f"The {thing} for the {whose}, number {number}"


def _task(number: int) -> NewTask:
    row = TaskRow(
        task_id(1_700_000_000_000 + number, number),
        "agent",
        "helper",
        "working" if number % 50 == 0 else "completed",
        float(number),
        float(number),
        title=_title(number),
        conversation=THREAD.conversation,
        owner="bench",
        epoch=1,
    )
    return NewTask(row, StoredEvent(1, float(number), "created", VERSION, b"{}"))


def _line(number: int) -> Line:
    task = task_id(1_700_000_000_000 + number, number)
    text = f"please see to it: {_title(number)}, and mind what we said about the {_FOR[number % len(_FOR)]} last week"
    return Line(THREAD.conversation, f"m{number}", "person", "message", float(number), text, task=task)


async def _time(setting: Setting, kept: SQLiteConversations, place: int, count: int) -> None:
    gathered: list[float] = []
    decided: list[float] = []
    one_line: list[float] = []
    read: list[float] = []
    tokens = 0
    for number in range(MESSAGES):
        text = f"how about the {_THINGS[number % len(_THINGS)]}, could the {_FOR[number % len(_FOR)]} have another in green by Tuesday"
        line = Line(THREAD.conversation, "now", "person", "message", 2e9, text)
        began = time.perf_counter()
        await kept.line(place)
        one_line.append(time.perf_counter() - began)
        began = time.perf_counter()
        scene = scenes.scene(await kept.gather(THREAD, scenes.wanted(line)), None)
        gathered.append(time.perf_counter() - began)
        body = msgspec.json.encode(scene)
        began = time.perf_counter()
        msgspec.json.decode(body, type=Scene)
        read.append(time.perf_counter() - began)
        began = time.perf_counter()
        told = _decided(scenes.spoken(line, None), scene)
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
