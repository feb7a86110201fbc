"""Events to and from what a store keeps: secrets taken out, big ones as blobs on disk first."""

from collections.abc import Callable, Sequence

import msgspec

from agenthost.core.errors import NewerVersion
from agenthost.core.events import VERSION, Recorded, decode_event, encode_event, kind_of
from agenthost.core.ports import Blobs, StoredEvent

BIG = 16 * 1024
"""Bytes above which an event's body is kept as a blob."""

_REFERENCE = b'{"$blob":"'


class Codec:
    """Encodes and decodes a journal's events. `redact` takes known secrets out of a body."""

    def __init__(self, blobs: Blobs, redact: Callable[[bytes], bytes]) -> None:
        self._blobs = blobs
        self._redact = redact

    async def encode(self, events: Sequence[Recorded]) -> tuple[StoredEvent, ...]:
        """Events as a store keeps them; big bodies are on disk when this returns."""
        stored = [self._encode(recorded) for recorded in events]
        return tuple([one if len(one.body) <= BIG else await self._shelve(one) for one in stored])

    def _encode(self, recorded: Recorded) -> StoredEvent:
        body = self._redact(encode_event(recorded.event))
        return StoredEvent(recorded.seq, recorded.at, kind_of(recorded.event), VERSION, body)

    async def _shelve(self, stored: StoredEvent) -> StoredEvent:
        body = _REFERENCE + (await self._blobs.put(stored.body)).encode() + b'"}'
        return msgspec.structs.replace(stored, body=body)

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
