"""Responses that their clients have deleted. The task stays, as the host keeps it; a mark says that its responses are not
to be found any more.

The mark is a small file in the host's store, known by its content, that belongs to whoever deleted: so it is on disk, and
needs no table.
"""

from agenthost.core.api import HostApi
from agenthost.core.errors import NotFound
from agenthost.core.ids import digest
from agenthost.faces.http.openai.ids import Place, response_id


def _mark(place: Place) -> bytes:
    return f"OpenAI's API: the response {response_id(place)} was deleted by its client.\n".encode()


async def delete(api: HostApi, place: Place) -> None:
    """Mark a response as deleted."""
    await api.put_file(f"{response_id(place)}-deleted.txt", _mark(place), "text/plain")


async def deleted(api: HostApi, place: Place) -> bool:
    """Whether it was."""
    try:
        await api.get_file(digest(_mark(place)))
    except NotFound:
        return False
    return True
