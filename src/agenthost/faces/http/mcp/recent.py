"""What was sent to clients of the older revision lately, for one whose stream broke to take it up again.

It is bounded, and gone when the host stops: what is true of a task is in its journal.
"""

from collections import OrderedDict

import mcp.types as types
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId

MOST_BYTES = 16 * 1024 * 1024
MOST_EVENTS = 50_000


class RecentEvents(EventStore):
    """The last events of all streams, at most `most` bytes of them."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._events: OrderedDict[int, tuple[StreamId, types.JSONRPCMessage | None, int]] = OrderedDict()
        self._last = 0
        self._size = 0

    async def store_event(self, stream_id: StreamId, message: types.JSONRPCMessage | None) -> EventId:
        """Keep an event; the oldest go where there is no room."""
        size = 0 if message is None else len(message.model_dump_json(by_alias=True, exclude_none=True))
        self._last += 1
        self._events[self._last] = (stream_id, message, size)
        self._size += size
        while self._events and (self._size > self._most or len(self._events) > MOST_EVENTS):
            _, (_, _, gone) = self._events.popitem(last=False)
            self._size -= gone
        return str(self._last)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came after an event of its stream; None where that is no longer known."""
        place = int(last_event_id) if last_event_id.isdigit() else 0
        known = self._events.get(place)
        if known is None:
            return None
        for id, (stream, message, _) in list(self._events.items()):
            if stream == known[0] and id > place and message is not None:
                await send_callback(EventMessage(message, str(id)))
        return known[0]
