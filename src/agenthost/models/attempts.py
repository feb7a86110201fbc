"""Attempts at a provider: each waits for its turn, and counts for what it really used. Whatever the adapter."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.models import ModelAnswer, Usage
from agenthost.models.limits import Limiter

BYTES_A_TOKEN = 4
"""OpenAI's own rule of thumb for English. Only limits, and usage that a server doesn't count, rest on it."""


class Attempt:
    """One attempt. `used`: the tokens that it took; None where nobody knows, and then it took what was thought."""

    def __init__(self) -> None:
        self.used: int | None = None


class Attempts:
    """Those at one model, or at one other endpoint of its provider. `refused`: the provider refused the key."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self.refused = False

    @asynccontextmanager
    async def attempt(self, worst: int) -> AsyncGenerator[Attempt]:
        """A turn. `worst`: the most tokens that it is thought to use. A failure before anything was done used none, and
        where the provider asks for a delay then, nothing is sent to it meanwhile."""
        made = Attempt()
        await self._limiter.acquire(worst)
        try:
            yield made
        except Temporary as error:
            made.used = None if error.sent else 0
            if error.delay and not error.sent:
                self._limiter.pause(error.delay)
            raise
        except AgentHostError as error:
            self.refused = self.refused or error.code == "auth"
            made.used = 0
            raise
        finally:
            self._limiter.release(worst, made.used)

    async def answer(self, given: int, most: int, make: Callable[[], Awaitable[ModelAnswer]]) -> ModelAnswer:
        """Have an answer made. `given`: the tokens that are sent, about; `most`: those that come at most."""
        async with self.attempt(given + most) as attempt:
            answer = await make()
            if not answer.usage.total:
                answer = msgspec.structs.replace(answer, usage=_guess(given, answer))
            attempt.used = answer.usage.total
            return answer


def _guess(given: int, answer: ModelAnswer) -> Usage:
    """What a call used, where the server doesn't count: budgets must not take it for nothing."""
    made = len(answer.text) + sum(len(call.name) + len(call.arguments) for call in answer.calls)
    return Usage(given, max(1, made // BYTES_A_TOKEN))
