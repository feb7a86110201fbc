"""`/v1/conversations`: threads that responses are made in, and what is put into them without one."""

import secrets
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.parts import FilePart
from agenthost.core.shelf import Thing
from agenthost.faces.http.bodies import answer, read
from agenthost.faces.http.openai import thread
from agenthost.faces.http.openai.chat import MOST_BODY
from agenthost.faces.http.openai.content import Taking, text_of
from agenthost.faces.http.openai.errors import Refused, decoded, wrong
from agenthost.faces.http.openai.inputs import items_of
from agenthost.faces.http.openai.listing import listed, paged
from agenthost.faces.http.openai.record import Json
from agenthost.faces.http.openai.responses_body import Item, Reading
from agenthost.faces.http.openai.serving import Serving
from agenthost.faces.http.openai.thread import CONVERSATION, GONE, ITEM

_AT_ONCE = 20
"""Items that one request may add, as in OpenAI's API."""


class MetadataBody(Struct):
    """What may be changed."""

    metadata: dict[str, str] | None = None


class ConversationBody(Struct):
    """A conversation as it is asked for."""

    metadata: dict[str, str] | None = None
    items: list[Item] | None = None


class ItemsBody(Struct):
    """What is to be added."""

    items: list[Item]


async def create(serving: Serving, request: Request) -> Response:
    """Make one."""
    taking = serving.taking(request)
    body = await read(request, MOST_BODY)
    asked: ConversationBody = decoded(body or b"{}", ConversationBody)
    metadata = checked(asked.metadata)
    id = "conv_" + secrets.token_hex(16)
    made = await _made(taking, id, asked.items or [])
    kept = taking.shelf.new(taking.caller, CONVERSATION, id, msgspec.json.encode(metadata))
    await taking.shelf.put(taking.caller, [kept])
    await taking.shelf.put(taking.caller, made)
    return answer(_told(kept))


async def get(serving: Serving, request: Request) -> Response:
    """What one is."""
    return answer(_told(await thread.known(serving.taking(request), _id(request))))


async def update(serving: Serving, request: Request) -> Response:
    """Change its metadata."""
    taking = serving.taking(request)
    kept = await thread.known(taking, _id(request))
    asked: MetadataBody = decoded(await read(request, MOST_BODY), MetadataBody)
    body = msgspec.json.encode(checked(asked.metadata))
    await taking.shelf.change(taking.caller, kept, body)
    return answer(_told(msgspec.structs.replace(kept, body=body)))


async def delete(serving: Serving, request: Request) -> Response:
    """Forget one with the items that were put into it. The responses that were made in it stay."""
    taking, id = serving.taking(request), _id(request)
    await thread.known(taking, id)
    await taking.shelf.delete(taking.caller, CONVERSATION, id)
    return answer({"id": id, "object": "conversation.deleted", "deleted": True})


async def add_items(serving: Serving, request: Request) -> Response:
    """Put items into one."""
    taking, id = serving.taking(request), _id(request)
    await thread.known(taking, id)
    asked: ItemsBody = decoded(await read(request, MOST_BODY), ItemsBody)
    made = await _made(taking, id, asked.items)
    await taking.shelf.put(taking.caller, made)
    return listed([msgspec.json.decode(each.body) for each in made], False)


async def list_items(serving: Serving, request: Request) -> Response:
    """All that is in one, by pages."""
    taking = serving.taking(request)
    return paged(request, await thread.items(taking, await thread.load(taking, _id(request))))


async def get_item(serving: Serving, request: Request) -> Response:
    """One item of it."""
    return answer((await _item(serving.taking(request), request))[1])


async def delete_item(serving: Serving, request: Request) -> Response:
    """Leave one out from now on; the conversation."""
    taking, item = serving.taking(request), str(request.path_params["item"])
    kept, _ = await _item(taking, request)
    if any(each.id == item for each in await taking.shelf.all(taking.caller, ITEM, kept.id)):
        await taking.shelf.delete(taking.caller, ITEM, item)
    note = taking.shelf.new(taking.caller, GONE, thread.gone_id(kept.id, item), within=kept.id)
    await taking.shelf.put(taking.caller, [note])
    return answer(_told(kept))


async def _item(taking: Taking, request: Request) -> tuple[Thing, Json]:
    id, item = _id(request), str(request.path_params["item"])
    kept = await thread.known(taking, id)
    found = await thread.items(taking, await thread.load(taking, id))
    for each in found:
        if each["id"] == item:
            return kept, each
    raise Refused(f"Item with id '{item[:80]}' not found.", "item_id", "item_not_found", 404)


async def _made(taking: Taking, conversation: str, items: list[Item]) -> list[Thing]:
    """Items as they are kept: files among them are the host's by then. Raises Refused."""
    if len(items) > _AT_ONCE:
        raise wrong("items", f"{len(items)} items are too many at once; send at most {_AT_ONCE}.")
    made: list[Thing] = []
    for at, item in enumerate(items):
        told, files = await _read(taking, item, f"items[{at}]")
        body = msgspec.json.encode(told)
        made.append(taking.shelf.new(taking.caller, ITEM, told["id"], body, conversation, files))
    return made


async def _read(taking: Taking, item: Item, where: str) -> tuple[Json, tuple[str, ...]]:
    id = secrets.token_hex(16)
    if item.type == "message" and item.role in ("system", "developer"):
        content = [{"type": "input_text", "text": text_of(item.content, f"{where}.content")}]
        told = {"id": f"msg_{id}", "type": "message", "role": item.role, "status": "completed", "content": content}
        return told, ()
    reading = Reading(taking)
    await reading.add(item, where)
    kept = item.type in ("message", "function_call", "function_call_output")
    found = items_of(reading.turns[0], id) if kept and reading.turns else []
    if not found:
        raise wrong(where, f"an item of the type '{item.type}' can't be kept in a conversation, or it is empty.")
    return found[0], tuple(part.digest for part in reading.turns[0].parts if isinstance(part, FilePart))


def checked(metadata: dict[str, str] | None) -> dict[str, str]:
    """Metadata in OpenAI's bounds. Raises Refused."""
    found = metadata or {}
    if len(found) > 16:
        raise wrong("metadata", f"it has {len(found)} pairs and may have 16.")
    for key, value in found.items():
        if len(key) > 64 or len(value) > 512:
            raise wrong("metadata", f"'{key[:64]}' has more than 64 characters, or its value more than 512.")
    return found


def _told(kept: Thing) -> dict[str, Any]:
    return {
        "id": kept.id,
        "object": "conversation",
        "created_at": int(kept.created),
        "metadata": msgspec.json.decode(kept.body),
    }


def _id(request: Request) -> str:
    return str(request.path_params["id"])
