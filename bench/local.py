"""Local models: what AgentHost adds to llama.cpp. Random weights, so the words are nonsense and all else is real.

The same request goes to the same child process through AgentHost's adapter and by plain HTTP, one right after the other.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from agenthost.core.errors import AgentHostError
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.models.llamacpp.local import LocalModels
from agenthost.models.llamacpp.model import LocalModel
from agenthost.models.llamacpp.server import Running
from agenthost.models.settings import LocalSettings, ModelSettings
from agenthost.testing.gguf import TinyModel, write_model
from bench.leftovers import memory
from bench.processes import NotMeasured
from bench.records import median, pairwise
from bench.setting import Setting

SUITE = "local"
OURS, RAW = "agenthost, llamacpp", "llama.cpp, plain HTTP"
TOKENS_BY_RAW = "tokens/s, of plain HTTP's"
_INSTRUCTIONS, _ASKED = "You answer.", "Tell me something, at length."


@dataclass(frozen=True)
class Kind:
    """A model to measure: its name in the tables, its shape, how many tokens an answer has."""

    name: str
    shape: TinyModel
    tokens: int


KINDS = (
    Kind("0.1 M", TinyModel(context=2048), 400),
    Kind("30 M", TinyModel(context=2048, width=512, blocks=8, heads=8, inner=2048), 100),
)


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    try:
        asyncio.run(_measure(setting))
    except (AgentHostError, NotMeasured, ImportError) as reason:
        setting.results.missing(SUITE, OURS, "start to the first answer", "ms", str(reason))


async def _measure(setting: Setting) -> None:
    for kind in KINDS if setting.scale.patient else KINDS[:1]:
        folder = setting.folder / "local" / kind.name.replace(" ", "")
        folder.mkdir(parents=True)
        setting.tell(f"a local model of {kind.name} parameters")
        await asyncio.to_thread(write_model, folder / "random.gguf", kind.shape)
        await _one(setting, kind, folder)


async def _one(setting: Setting, kind: Kind, folder: Path) -> None:
    settings = ModelSettings(local={"random": LocalSettings(slots=1)})
    local = LocalModels(settings, folder, _read, {**os.environ})
    try:
        # llama.cpp would stop where a random token happens to be the end.
        model = await local.model("random", lambda card: card, {"ignore_eos": True})
        await _starts(setting, kind, local, model)
        await _answers(setting, kind, local, model)
    finally:
        await local.close()


async def _read(digest: str) -> bytes:
    raise KeyError(digest)


async def _starts(setting: Setting, kind: Kind, local: LocalModels, model: LocalModel) -> None:
    """From nothing to a first answer of one token, and to the same answer while it runs."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(max(setting.scale.launches // 3, 1)):
        for server in local.servers():
            await server.stop()
        cold.append((await _ours(model, 1)) * 1000)
        warm.append((await _ours(model, 1)) * 1000)
    setting.results.add(SUITE, OURS, f"start to the first answer, {kind.name}", median(cold), "ms")
    setting.results.add(SUITE, OURS, f"an answer of one token, {kind.name}", median(warm), "ms")
    setting.results.add(
        SUITE, OURS, f"memory of the child at rest, {kind.name}", memory(_running(local).child.pid), "MB"
    )


async def _answers(setting: Setting, kind: Kind, local: LocalModels, model: LocalModel) -> None:
    """Tokens a second, streamed; the two take turns, and so does who begins."""
    running = _running(local)
    pairs: list[tuple[float, float]] = []
    async with aiohttp.ClientSession() as session:
        for number in range(-1, setting.scale.launches):
            setting.tell(
                f"answers of a local model of {kind.name} parameters, {number + 1} of {setting.scale.launches}"
            )
            if number % 2:
                ours, raw = await _ours(model, kind.tokens), await _raw(session, running, kind.tokens)
            else:
                raw, ours = await _raw(session, running, kind.tokens), await _ours(model, kind.tokens)
            if number >= 0:
                pairs.append((kind.tokens / ours, kind.tokens / raw))
    ours_rates, raw_rates = ([pair[side] for pair in pairs] for side in range(2))
    setting.results.add(SUITE, OURS, f"tokens/s, {kind.name}", median(ours_rates), "1/s")
    setting.results.add(SUITE, RAW, f"tokens/s, {kind.name}", median(raw_rates), "1/s")
    setting.results.add(SUITE, OURS, f"{TOKENS_BY_RAW}, {kind.name}", pairwise(ours_rates, raw_rates), "x")


def _running(local: LocalModels) -> Running:
    running = local.servers()[0].running
    if running is None:
        raise NotMeasured("the child ended by itself")
    return running


async def _ours(model: LocalModel, tokens: int) -> float:
    """Seconds of an answer through the adapter."""
    request = ModelRequest(
        "random", _INSTRUCTIONS, (Turn("user", (TextPart(_ASKED),)),), max_output=tokens, temperature=1.0
    )
    began = time.perf_counter()
    answer: ModelAnswer = await model.answer(request, lambda _: None)
    took = time.perf_counter() - began
    if answer.usage.output != tokens:
        raise NotMeasured(f"{answer.usage.output} tokens came and not {tokens}")
    return took


async def _raw(session: aiohttp.ClientSession, running: Running, tokens: int) -> float:
    """Seconds of the same answer by plain HTTP, read to its end and each event decoded."""
    body: dict[str, Any] = {
        "model": "random",
        "messages": [{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": _ASKED}],
        "max_tokens": tokens,
        "temperature": 1.0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"Authorization": f"Bearer {running.key}", "Connection": "close"}
    came = 0
    began = time.perf_counter()
    async with session.post(running.base / "chat/completions", json=body, headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                came = (json.loads(line[6:]).get("usage") or {}).get("completion_tokens", came)
    took = time.perf_counter() - began
    if came != tokens:
        raise NotMeasured(f"{came} tokens came and not {tokens}")
    return took
