"""Responses that their clients have deleted, while their task stays because it holds another response that wasn't."""

from agenthost.core.access import Caller
from agenthost.faces.http.openai.ids import Place, response_id
from agenthost.host.shelf import Desk

_KIND = "openai.gone"


async def delete(shelf: Desk, caller: Caller, place: Place) -> None:
    """Note that a response is deleted. The note goes with its task."""
    note = shelf.new(caller, _KIND, response_id(place), within=place.task)
    await shelf.put(caller, [note])


async def deleted(shelf: Desk, caller: Caller, place: Place) -> bool:
    """Whether it was."""
    return await shelf.there(caller, _KIND, response_id(place))
