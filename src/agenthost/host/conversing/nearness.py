"""How near a message's meaning is to the tasks', by an embedding model: asked only where no rule is sure, once for each text, and never waited for
longer than `PATIENCE`."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.conversations import Conversations, Thread, Wanted
from agenthost.core.errors import AgentHostError, Permanent
from agenthost.core.meanings import Meant, cosine, packed
from agenthost.core.routing import Scene, Spoken, Topic
from agenthost.engine.parts import Log
from agenthost.host.conversing import scenes
from agenthost.programs.routing import topic_text

PATIENCE = 5.0
"""Seconds that a message waits for its vector; after that its task is looked for by words."""

REST = 60.0
"""Seconds for which nobody asks again where vectors couldn't be had: one message in a minute waits for a server that is dead, not each."""

AT_ONCE = 32
"""Texts that are sent with a message, its own among them. What more tasks are about is asked for with later messages."""

FOUND = 10
"""The most tasks that are found by what they mean alone."""

LETTERS = 400
"""Of a text that are embedded: small models take 256 to 512 tokens, and in some languages each letter is one."""

Vectors = Sequence[Sequence[float]]
Embed = Callable[[Sequence[str], Thread], Awaitable[Vectors]]
"""The vectors of texts, for somebody's conversation. Raises AgentHostError."""


class Weighed(Struct, frozen=True):
    """A scene with the tasks that were found by meaning too, and how near each is (None: that isn't known); `words_only`: why not,
    where it should be."""

    scene: Scene
    similar: dict[str, float] | None = None
    words_only: str = ""


class Nearness:
    """Weighs the tasks of conversations by the vectors of one model, and keeps those of tasks."""

    def __init__(
        self, kept: Conversations, model: str, embed: Embed, log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept = kept
        self._model = model
        self._embed = embed
        self._log = log
        self._clock = clock
        self._again = 0.0

    async def weigh(self, said: Spoken, scene: Scene, thread: Thread) -> Weighed:
        """How near a message is to the tasks of a scene, and to tasks of its conversation that aren't in it."""
        if not said.text.strip() or not scene.topics:
            return Weighed(scene)
        if self._clock() < self._again:
            return Weighed(scene, words_only=f"{self._model} made no vectors a moment ago")
        kept = await self._kept.meant(self._model, [topic.task for topic in scene.topics])
        texts = {topic.task: topic_text(topic)[:LETTERS] for topic in scene.topics}
        new = [task for task, text in texts.items() if task not in kept or kept[task].text != _hash(text)]
        new = new[: AT_ONCE - 1]
        try:
            async with asyncio.timeout(PATIENCE):
                vectors = await self._embed([said.text[:LETTERS], *(texts[task] for task in new)], thread)
        except TimeoutError:
            return self._without(scene, f"{self._model} made no vectors within {PATIENCE:g} seconds")
        except AgentHostError as error:
            bad = isinstance(error, Permanent) and error.code == "bad-request"
            return self._without(scene, f"{self._model} made no vectors: {error.message}", 0.0 if bad else REST)
        if len(vectors) != 1 + len(new):
            return self._without(scene, f"{self._model} made {len(vectors)} vectors of {1 + len(new)} texts")
        own, *others = map(packed, vectors)
        found = {task: Meant(_hash(texts[task]), vector) for task, vector in zip(new, others, strict=True)}
        if found:
            await self._kept.mean(self._model, found)
        similar = {task: cosine(own, one.vector) for task, one in (kept | found).items()}
        return await self._wider(scene, similar, own, thread)

    async def _wider(self, scene: Scene, similar: dict[str, float], own: bytes, thread: Thread) -> Weighed:
        """With the nearest of the tasks that words didn't find."""
        nearest = await self._kept.nearest(thread, self._model, own, FOUND)
        more = [task for task in nearest if task not in similar]
        topics: tuple[Topic, ...] = ()
        if more:
            gathered = await self._kept.gather(thread, Wanted(open=0, ended=0, found=0, recent=0, tasks=tuple(more)))
            topics = scenes.scene(gathered, None).topics
        known = similar | {topic.task: nearest[topic.task] for topic in topics}
        rounded = {task: round(value, 4) for task, value in known.items()}
        return Weighed(replace(scene, topics=(*scene.topics, *topics)), rounded)

    def _without(self, scene: Scene, why: str, rest: float = REST) -> Weighed:
        self._again = self._clock() + rest
        self._log.warning("messages find their tasks by words alone", problem=why)
        return Weighed(scene, words_only=why)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
