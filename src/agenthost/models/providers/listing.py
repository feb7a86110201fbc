"""The models that a provider says it has, by its SDK."""

import inspect
from typing import Any

from agenthost.core.errors import AgentHostError, Permanent, Temporary, Unavailable
from agenthost.models.openai.failures import Peer

_MOST = 1_000  # of one provider; OpenRouter, which has the most, has some 500
_METHODS = ("list_async", "list_language_models", "list")  # as Mistral's, xAI's and all other SDKs call it


async def listed(client: Any, peer: Peer) -> list[str]:
    """Names, in the provider's order. Raises Unavailable where its SDK has no such list, Temporary where it can't be
    reached, Permanent where it refuses."""
    models = getattr(getattr(client, "aio", client), "models", None)
    ask = next((found for name in _METHODS if (found := getattr(models, name, None)) is not None), None)
    if ask is None:
        raise Unavailable(
            f"{peer.name} can't be asked for its models: its SDK has no list of them. Name one from its documentation, as "
            f"{peer.name}:NAME."
        )
    try:
        return await _names(ask)
    except Exception as error:  # noqa: BLE001 # an SDK raises whatever it likes
        problem = _failed(error, peer)
    raise problem


async def _names(ask: Any) -> list[str]:
    answer: Any = ask(page_size=_MOST) if "page_size" in inspect.signature(ask).parameters else ask()
    if not hasattr(answer, "__aiter__"):
        answer = await answer
    entries: list[Any] = []
    if hasattr(answer, "__aiter__"):
        async for entry in answer:
            entries.append(entry)
            if len(entries) == _MOST:
                break
    else:
        entries += getattr(answer, "data", None) or getattr(answer, "models", None) or answer
    names = [getattr(entry, "id", None) or getattr(entry, "name", None) for entry in entries]
    return [str(name).removeprefix("models/") for name in names if name]


def _failed(error: Exception, peer: Peer) -> AgentHostError:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if status in (401, 403):
        verb = "refused the key" if peer.keyed else "wants a key"
        return Permanent(f"{peer.name} {verb}. Set {peer.key_setting}.", code="auth")
    if isinstance(status, int) and 400 <= status < 500 and status != 429:
        return Unavailable(f"{peer.name} has no list of models here ({status}). Check {peer.url_setting}.")
    if isinstance(status, int):
        return Temporary(f"{peer.name} can't list its models now ({status}). Try again.", code="provider-error")
    where = f" at {peer.url}" if peer.url else ""
    return Temporary(
        f"{peer.name} can't be reached{where}, so its models can't be listed. Check the network, and {peer.url_setting}.",
        code="unreachable",
    )
