"""The scripted model: fixed replies by a playbook. For the demo, tests and replay; it never pretends to think."""

import asyncio
import re
from collections.abc import Callable

from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest
from agenthost.core.parts import TextPart
from agenthost.models.playbook import Fail, Heard, Play, Playbook, Tries

_WORD = re.compile(r"\s*\S+\s*|\s+")
_CONNECT = (
    "To connect a real model, set OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME."
)
_STALL = 3600.0  # seconds; far beyond any idle time-out


def scripted_card(name: str = "scripted") -> ModelCard:
    """What a scripted model can do: everything, for nothing."""
    return ModelCard(name, 200_000, 32_000, input_price=0.0, output_price=0.0, cached_price=0.0)


def pieces(text: str) -> list[str]:
    """`text` as it is streamed: word by word."""
    return _WORD.findall(text)


class ScriptedModel:
    """Answers by a playbook; raises Permanent (`scripted-no-reply`, `scripted-unreadable`) where it has no reply."""

    refused = False
    """It has no key that a provider could refuse."""

    def __init__(self, playbook: Playbook, name: str = "scripted") -> None:
        self._playbook = playbook
        self._card = scripted_card(name)
        self._tries = Tries()

    @property
    def card(self) -> ModelCard:
        return self._card

    async def answer(self, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer:
        play = self._playbook.play(request, self._tries.so_far(request))
        if play is None:
            raise _speechless(request)
        if play.delay:
            await asyncio.sleep(play.delay)
        if play.fail is not None:
            self._tries.failed(request, play.fail)
            await _fail(play, play.fail, tell)
        if play.reasoning:
            tell(Delta(reasoning=play.reasoning))
        for piece in pieces(play.text):
            if play.pause:
                await asyncio.sleep(play.pause)
            tell(Delta(text=piece))
        for call in play.calls:
            tell(Delta(call=call))
        parts = (TextPart(play.text),) if play.text else ()
        return ModelAnswer(parts, play.calls, play.stop, play.usage, play.model or self._card.name)


class ScriptedModels:
    """Every name is a scripted model of one playbook: for tests and for the demo."""

    def __init__(self, playbook: Playbook) -> None:
        self._playbook = playbook
        self._models: dict[str, ScriptedModel] = {}

    async def model(self, name: str) -> ScriptedModel:
        if name not in self._models:
            self._models[name] = ScriptedModel(self._playbook, name)
        return self._models[name]

    async def close(self) -> None:
        self._models.clear()


def _speechless(request: ModelRequest) -> Permanent:
    pictures = [file for file in Heard(request).files if file.media_type.startswith("image/")]
    if pictures:
        name = pictures[-1].name or "this picture"
        return Permanent(
            f"The scripted model can't read {name}: it knows only the pictures of its playbook. {_CONNECT}",
            code="scripted-unreadable",
        )
    return Permanent(
        f"This is the scripted model: it has fixed replies, and none for this. {_CONNECT}",
        code="scripted-no-reply",
    )


async def _fail(play: Play, fail: Fail, tell: Callable[[Delta], None]) -> None:
    if fail.kind in ("cut", "stall"):
        for piece in pieces(play.text)[: fail.after]:
            tell(Delta(text=piece))
    if fail.kind == "stall":
        await asyncio.sleep(_STALL)
    raise _failure(fail)


def _failure(fail: Fail) -> AgentHostError:
    """The failure that the openai adapter would raise, had a provider behaved like this."""
    message = fail.message or f"The playbook injects the failure '{fail.kind}'."
    match fail.kind:
        case "rate-limit":
            return Temporary(message, code="rate-limit", delay=fail.retry)
        case "server-error" | "overloaded":
            return Temporary(message, code="provider-error", delay=fail.retry)
        case "reset":
            return Temporary(message, code="disconnected", sent=True)
        case "cut":
            return Temporary(message, code="cut", sent=True)
        case "stall":
            return Temporary(message, code="timeout", sent=True)
        case "html" | "garbage" | "empty":
            return Temporary(message, code="bad-answer", sent=True)
        case "context":
            return Permanent(message, code="context-too-long")
        case "auth" | "quota" | "bad-request" | "not-found":
            return Permanent(message, code=fail.kind)
