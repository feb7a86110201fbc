"""The models that a server says it has. Source: OpenAI's API reference, "Models"."""

import msgspec
from msgspec import Struct

from agenthost.models.openai.offers.asking import Asking
from agenthost.models.openai.offers.files import Page


class Offered(Struct, frozen=True):
    """A model that a server has. `window` in tokens, where the server says so."""

    id: str
    window: int | None = msgspec.field(default=None, name="max_model_len")  # vLLM's


_page = msgspec.json.Decoder(Page[Offered])


async def offered(asking: Asking) -> list[Offered]:
    """All of them, in the server's order."""
    return [one for one in asking.read(await asking.get("list of models", "models"), _page).data if one.id]
