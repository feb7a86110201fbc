"""Late events are kept for whoever comes back, and never more than there is room for."""

from mcp.server.streamable_http import EventMessage
from mcp.types import JSONRPCNotification

from agenthost.faces.http.mcp.recent import RecentEvents, SessionEvents


def said(words: str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": words})


async def after(events: SessionEvents, last: str) -> tuple[str | None, list[str]]:
    found: list[str] = []

    async def take(event: EventMessage) -> None:
        assert isinstance(event.message, JSONRPCNotification)
        found.append(str((event.message.params or {})["data"]))

    return await events.replay_events_after(last, take), found


async def test_a_stream_goes_on_after_its_last_event_and_shows_nothing_of_another() -> None:
    events = RecentEvents().session()
    begun = await events.store_event("one", None)
    first = await events.store_event("one", said("a"))
    await events.store_event("two", said("other"))
    last = await events.store_event("one", said("b"))
    assert await after(events, begun) == ("one", ["a", "b"])
    assert await after(events, first) == ("one", ["b"])
    assert await after(events, last) == ("one", [])


async def test_the_oldest_go_and_what_is_gone_or_nonsense_is_said_to_be_unknown() -> None:
    events = RecentEvents(most=1000).session()
    ids = [await events.store_event("one", said("x" * 200)) for _ in range(50)]
    assert await after(events, ids[0]) == (None, [])
    assert await after(events, "nonsense") == (None, [])
    stream, found = await after(events, ids[-3])
    assert (stream, len(found)) == ("one", 2)
