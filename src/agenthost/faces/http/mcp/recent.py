"""What was sent to clients of the older revision lately, for one whose stream broke to take it up again.

It is bounded, and gone when the host stops: what is true of a task is in its journal.
"""

from collections import OrderedDict

import mcp.types as types
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId

Stream = tuple[int, StreamId]
"""A session, and one of its streams."""

MOST_BYTES = 16 * 1024 * 1024
MOST_EVENTS = 50_000


class RecentEvents:
    """The last events of all sessions, at most `most` bytes of them."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._events: OrderedDict[int, tuple[Stream, types.JSONRPCMessage | None, int]] = OrderedDict()
        self._last = 0
        self._size = 0
        self._sessions = 0

    def session(self) -> "SessionEvents":
        """Those of a new session, which reaches nothing of another's."""
        self._sessions += 1
        return SessionEvents(self, self._sessions)

    def store(self, stream: Stream, message: types.JSONRPCMessage | None) -> int:
        """Keep an event; the oldest go where there is no room. Its number."""
        size = 0 if message is None else len(message.model_dump_json(by_alias=True, exclude_none=True))
        self._last += 1
        self._events[self._last] = (stream, message, size)
        self._size += size
        while self._events and (self._size > self._most or len(self._events) > MOST_EVENTS):
            _, (_, _, gone) = self._events.popitem(last=False)
            self._size -= gone
        return self._last

    def since(self, session: int, place: int) -> tuple[StreamId, list[tuple[int, types.JSONRPCMessage]]] | None:
        """The stream of one of a session's events, and what came after it there; None where there is no such event any more."""
        known = self._events.get(place)
        if known is None or known[0][0] != session:
            return None
        stream = known[0]
        events = ((id, message) for id, (of, message, _) in self._events.items() if of == stream and id > place)
        return stream[1], [(id, message) for id, message in events if message is not None]


class SessionEvents(EventStore):
    """One session's. The package names streams by the ids of a client's requests: every session has a `1`."""

    def __init__(self, recent: RecentEvents, session: int) -> None:
        self._recent = recent
        self._session = session

    async def store_event(self, stream_id: StreamId, message: types.JSONRPCMessage | None) -> EventId:
        """Keep an event."""
        return str(self._recent.store((self._session, stream_id), message))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came after an event of its stream; None where that is no longer known, or another session's."""
        place = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 20 else 0
        found = self._recent.since(self._session, place)
        if found is None:
            return None
        stream, events = found
        for id, message in events:
            await send_callback(EventMessage(message, str(id)))
        return stream
