"""Events to and from what a store keeps: secrets taken out, big ones as blobs on disk first."""

from collections.abc import Callable

import msgspec

from agenthost.core.errors import NewerVersion
from agenthost.core.events import VERSION, Event, Recorded, decode_event, encode_event, kind_of
from agenthost.core.ports import Blobs, StoredEvent

BIG = 16 * 1024
"""Bytes above which an event's body is kept as a blob."""

_REFERENCE = b'{"$blob":"'


class Codec:
    """Encodes and decodes a journal's events. `redact` takes known secrets out of a body."""

    def __init__(self, blobs: Blobs, redact: Callable[[bytes], bytes]) -> None:
        self._blobs = blobs
        self._redact = redact

    async def encode(self, seq: int, at: float, event: Event) -> StoredEvent:
        """The event as a store keeps it; a big body is on disk when this returns."""
        body = self._redact(encode_event(event))
        if len(body) > BIG:
            body = _REFERENCE + (await self._blobs.put(body)).encode() + b'"}'
        return StoredEvent(seq, at, kind_of(event), VERSION, body)

    async def decode(self, task: str, stored: StoredEvent) -> Recorded:
        """The event of what was kept. Raises NewerVersion, or what the blob store raises."""
        body = stored.body
        if body.startswith(_REFERENCE):
            body = await self._blobs.get(body[len(_REFERENCE) : -2].decode())
        try:
            event = decode_event(stored.kind, stored.version, body)
        except msgspec.ValidationError as error:
            raise NewerVersion(
                f"event {stored.seq} of task {task} ('{stored.kind}') can't be read by this AgentHost ({error}); "
                "it was probably written by a newer one: upgrade AgentHost to go on with this task"
            ) from error
        return Recorded(task, stored.seq, stored.at, event)
