"""What else a provider does, on the wire: `POST /models/NAME/abilities/ABILITY`, the arguments as a JSON list in the
order of `core.ports.Abilities`, the result as JSON, or as it is where it is a file's bytes."""

from typing import Any

from msgspec import Struct

from agenthost.core.models import ModelRequest
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import Part

MOST = 512 * 1024 * 1024
"""Bytes of the arguments together: the largest file that OpenAI keeps, nearly (as base64 it is a third longer)."""


class Ability(Struct, frozen=True):
    """The types of an ability's arguments, together, and of its result."""

    arguments: Any
    result: Any


ABILITIES: dict[str, Ability] = {
    "embed": Ability(tuple[tuple[str, ...]], Embeddings),
    "moderate": Ability(tuple[tuple[Part, ...]], Moderation),
    "draw": Ability(tuple[Drawing], Media),
    "speak": Ability(tuple[Speech], Media),
    "transcribe": Ability(tuple[bytes, str, str], Transcript),
    "put_file": Ability(tuple[str, bytes, str], ProviderFile),
    "files": Ability(tuple[()], list[ProviderFile]),
    "get_file": Ability(tuple[str], bytes),
    "delete_file": Ability(tuple[str], None),
    "start_batch": Ability(tuple[dict[str, ModelRequest]], Batch),
    "batch": Ability(tuple[str], Batch),
    "batches": Ability(tuple[()], list[Batch]),
    "cancel_batch": Ability(tuple[str], Batch),
}
"""By the name of the port's method."""
