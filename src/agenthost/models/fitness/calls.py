"""The calls of a probe: counted, timed, tried again where that helps."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest, Turn, Usage
from agenthost.core.parts import Part, TextPart
from agenthost.core.ports import Model, silent
from agenthost.models.dialects.repair import repair

TRIES = 3
LONGEST_WAIT = 30.0
_FEWEST, _MOST = 400, 12_000
"""Characters between which a request tells how long a token is: in shorter ones what a server adds weighs too much,
longer ones it may cut."""
FATAL = ("auth", "not-found", "quota")
"""Failures that say nothing of what a model can do."""
INSTRUCTIONS = "You are being tested. Do exactly what is asked and nothing more."


def answer_room(window: int) -> int:
    """Tokens that an answer may take, its thinking included: servers refuse what would not fit with it."""
    return min(1024, max(128, window // 4))


class Refused(Exception):
    """The provider didn't take what was asked, or answered nothing that can be used; says why."""

    def __init__(self, error: AgentHostError) -> None:
        super().__init__(error.message)
        self.code = error.code


class Timed(Struct, frozen=True):
    """An answer, seconds to its first piece (0: it wasn't streamed) and to its end, and what was thought aloud."""

    answer: ModelAnswer
    first: float
    whole: float
    thought: str = ""


class Caller:
    """Calls one model, and adds up what it uses. `notice` is told what a call waits for, or does first."""

    def __init__(self, model: Model, notice: Callable[[str], None] = silent) -> None:
        self.model = model
        self._notice = notice
        self.used = Usage()
        self.calls = 0
        self.per_token = 4.0
        """Characters of a token, by the longest request of words alone that was counted so far."""
        self._counted = _FEWEST

    @property
    def card(self) -> ModelCard:
        return self.model.card

    async def ask(self, text: str, *pictures: Part, **fields: Any) -> Timed:
        """Ask one thing. Raises Refused, or what no other question would get past."""
        request = self.request(Turn("user", (*pictures, TextPart(text))), **fields)
        timed = await self.call(request)
        return msgspec.structs.replace(timed, answer=repair(timed.answer, request))  # without thinking

    def request(self, *turns: Turn, **fields: Any) -> ModelRequest:
        """A request of the probe."""
        most = min(self.card.max_output, answer_room(self.card.window))
        metadata = {"purpose": "probe"}
        return ModelRequest(self.card.name, INSTRUCTIONS, turns, max_output=most, metadata=metadata, **fields)

    async def call(self, request: ModelRequest) -> Timed:
        """One call, again where the failure is passing."""
        for tried in range(1, TRIES + 1):
            try:
                return await self._once(request)
            except Temporary as error:
                if tried == TRIES or (error.delay or 0.0) > LONGEST_WAIT:
                    if error.code == "bad-answer":
                        raise Refused(error) from None
                    raise
                await asyncio.sleep(error.delay if error.delay is not None else 0.5 * tried)
            except Permanent as error:
                if error.code in FATAL:
                    raise
                raise Refused(error) from None
        raise AssertionError("unreachable")

    def _count(self, request: ModelRequest, tokens: int) -> None:
        words = len(request.instructions) + sum(len(turn.text) for turn in request.turns)
        plain = not request.tools and all(isinstance(part, TextPart) for turn in request.turns for part in turn.parts)
        if plain and tokens and self._counted <= words <= _MOST:
            self._counted = words
            self.per_token = min(8.0, max(0.8, words / tokens))

    async def _once(self, request: ModelRequest) -> Timed:
        clock = asyncio.get_running_loop().time
        first: list[float] = []
        thought: list[str] = []

        def tell(delta: Delta) -> None:
            if delta.text or delta.reasoning or delta.call:
                first.append(clock())
            thought.append(delta.reasoning)
            if delta.notice:
                self._notice(delta.notice)

        began = clock()
        self.calls += 1
        answer = await self.model.answer(request, tell)
        ended = clock()
        used, more = self.used, answer.usage
        fields = {name: getattr(used, name) + getattr(more, name) for name in Usage.__struct_fields__}
        self.used = msgspec.convert(fields, Usage)
        self._count(request, more.input)
        return Timed(answer, first[0] - began if first else 0.0, ended - began, "".join(thought))
