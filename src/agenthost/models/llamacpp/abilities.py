"""What a local model does besides answering: embeddings. Of the rest it says what would do it."""

from collections.abc import Sequence

import aiohttp
import msgspec
from msgspec import Struct

from agenthost.core.errors import Permanent, Unavailable
from agenthost.core.models import ModelCard, Usage
from agenthost.core.offers import Embeddings
from agenthost.models.abilities import NoAbilities
from agenthost.models.llamacpp.model import explained
from agenthost.models.llamacpp.queue import Who
from agenthost.models.llamacpp.server import Running, Server
from agenthost.models.openai import failures
from agenthost.models.openai.failures import Peer

_TOGETHER = 64  # texts in one request
_SILENCE = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=3600.0)


class _Vector(Struct):
    embedding: tuple[float, ...]
    index: int = 0


class _Counted(Struct, frozen=True):
    prompt_tokens: int = 0


class _Body(Struct):
    data: list[_Vector]
    usage: _Counted = _Counted()


class LocalAbilities(NoAbilities):
    """The port `core.ports.Abilities` for one GGUF."""

    def __init__(self, server: Server, card: ModelCard) -> None:
        super().__init__(card.name, card, f"llama.cpp ({card.name})")
        self._server = server

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """A vector of length 1 for each text. Raises Permanent (`bad-request`) for a text that is too long."""
        name = self._server.start.name
        if not self._server.start.plan.embeddings:
            raise Unavailable(
                f"the model {name} isn't started for embeddings: set embeddings = true in [models.local.{name}]"
            )
        vectors: list[tuple[float, ...]] = []
        used = 0
        async with self._server.turn(Who("", f"embeddings of {name}"), lambda delta: None) as running:
            for at in range(0, len(texts), _TOGETHER):
                body = await self._ask(running, list(texts[at : at + _TOGETHER]))
                vectors += [one.embedding for one in sorted(body.data, key=lambda one: one.index)]
                used += body.usage.prompt_tokens
        return Embeddings(tuple(vectors), self._card.name, Usage(input=used))

    async def _ask(self, running: Running, texts: list[str]) -> _Body:
        peer = Peer(
            "llama.cpp", self._card.name, str(running.base), ("its key", "its address"), [running.key], keyed=True
        )
        session = await running.sessions.session(running.base)
        headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/json"}
        body = msgspec.json.encode({"model": self._card.name, "input": texts, "encoding_format": "float"})
        try:
            async with session.post(
                running.base / "embeddings", data=body, headers=headers, timeout=_SILENCE
            ) as response:
                content = await response.read()
                if response.status == 500 and b"too large to process" in content:
                    raise Permanent(
                        f"a text is too long for {self._card.name}: it takes {self._server.start.plan.batch} tokens",
                        code="bad-request",
                    )
                if response.status != 200:
                    raise failures.answered(response.status, response.headers, content, peer, 0.0)
                return msgspec.json.decode(content, type=_Body)
        except msgspec.DecodeError as error:
            problem = failures.bad_answer(str(error), peer)
        except (aiohttp.ClientError, OSError) as error:
            problem = failures.transport(error, peer)
        raise await explained(problem, running, self._card.name) if isinstance(problem, failures.Temporary) else problem
