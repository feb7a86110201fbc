"""What was said before in the same context: a new task of an agent begins with it."""

import msgspec

from agenthost.core.api import HostApi, Order
from agenthost.core.events import Created, Finished
from agenthost.core.models import Turn
from agenthost.core.ports import Filter
from agenthost.core.tasks import Terms

MOST = 20
"""Tasks of a context that a new one is told about, the newest."""


async def earlier_terms(api: HostApi, order: Order, repeated: bool) -> Order:
    """The order with the exchange of earlier tasks of its context. `repeated`: it may have been given before, and then
    it begins with what there was at that time."""
    wanted = Filter(
        order.namespace,
        roots_only=True,
        name=order.name,
        person=order.person,
        conversation=order.conversation,
        limit=MOST,
    )
    turns: list[Turn] = []
    for row in await api.tasks(wanted):
        if row.state != "completed" and not repeated:
            continue
        first, *_ = await api.events(row.id, 0, 1)
        assert isinstance(first.event, Created)
        said = first.event.spec.message
        if repeated and said.id == order.message:
            turns.clear()
            continue
        last = await api.events(row.id, max(0, row.seq - 1), 1)
        if last and isinstance(last[0].event, Finished) and row.state == "completed":
            turns += [Turn("assistant", last[0].event.parts), Turn("user", said.parts)]
    if not turns:
        return order
    return msgspec.structs.replace(order, terms=Terms(history=tuple(reversed(turns))))
