"""Events to and from what a store keeps: secrets taken out, big ones as blobs on disk first."""

from collections.abc import Callable, Sequence
from contextlib import suppress

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
        return await self.shelve([self.clean(recorded)[1] for recorded in events])

    def clean(self, recorded: Recorded) -> tuple[Recorded, StoredEvent]:
        """An event without secrets, which is what anybody decides from who reads the journal, and as a store keeps it."""
        kind, raw = kind_of(recorded.event), encode_event(recorded.event)
        body = self._redact(raw)
        if body != raw:
            # A secret that is one of our own words (a kind of event) makes a body that nobody can read.
            with suppress(msgspec.MsgspecError):
                recorded = msgspec.structs.replace(recorded, event=decode_event(kind, VERSION, body))
        return recorded, StoredEvent(recorded.seq, recorded.at, kind, VERSION, body)

    async def shelve(self, stored: Sequence[StoredEvent]) -> tuple[StoredEvent, ...]:
        """Events with big bodies on disk."""
        return tuple([one if len(one.body) <= BIG else await self._shelve(one) for one in stored])

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
