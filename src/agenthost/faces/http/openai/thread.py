"""A conversation: what was put into it by itself, and the responses that were made in it, in the order of time.

Of a conversation its own record and the items that were put into it are kept; what its responses were given and said is in
the journals of their tasks. An item of a response that is deleted is noted, and left out from then on.
"""

from typing import cast

import msgspec
from msgspec import Struct

from agenthost.core.errors import NotFound
from agenthost.core.models import Turn
from agenthost.core.ports import Filter
from agenthost.core.shelf import Thing
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.openai import story
from agenthost.faces.http.openai.content import Taking
from agenthost.faces.http.openai.errors import Refused
from agenthost.faces.http.openai.exchange import exchange
from agenthost.faces.http.openai.given import NOTES
from agenthost.faces.http.openai.ids import Place
from agenthost.faces.http.openai.inputs import inputs
from agenthost.faces.http.openai.reader import Reader
from agenthost.faces.http.openai.record import Json, facts_of
from agenthost.faces.http.openai.responses_body import Item, Reading
from agenthost.faces.http.openai.responses_told import Items, Nowhere
from agenthost.faces.http.openai.story import Story

CONVERSATION = "openai.conversation"
ITEM = "openai.item"
GONE = "openai.item-gone"
_PAGE = 500


class Thread(Struct):
    """A conversation with what is in it: items by themselves, tasks of responses (the oldest first), ids that are gone."""

    id: str
    items: list[Thing]
    tasks: list[TaskRow]
    gone: list[Thing]

    @property
    def newest(self) -> TaskRow | None:
        """The task of its last response."""
        return self.tasks[-1] if self.tasks else None

    def entries(self) -> list[Thing | TaskRow]:
        """All in the order of time."""
        return sorted([*self.items, *self.tasks], key=lambda each: each.created)


async def load(taking: Taking, id: str) -> Thread:
    """The caller's conversation of that id. Raises Refused."""
    await known(taking, id)
    shelf, caller = taking.shelf, taking.caller
    rows: list[TaskRow] = []
    while True:
        before = rows[-1].id if rows else ""
        wanted = Filter(
            caller.namespace, roots_only=True, person=caller.person, conversation=id, before=before, limit=_PAGE
        )
        page = await taking.api.tasks(wanted)
        rows += page
        if len(page) < _PAGE:
            break
    return Thread(id, await shelf.all(caller, ITEM, id), rows[::-1], await shelf.all(caller, GONE, id))


async def known(taking: Taking, id: str) -> Thing:
    """The record of the caller's conversation of that id. Raises Refused."""
    try:
        return await taking.shelf.get(taking.caller, CONVERSATION, id)
    except NotFound as error:
        told = f"Conversation with id '{id[:80]}' not found."
        raise Refused(told, "conversation", "conversation_not_found", 404) from error


def gone_id(conversation: str, item: str) -> str:
    """Under which id it is noted that an item of a response is gone."""
    return f"{conversation}/{item}"


async def items(taking: Taking, thread: Thread) -> list[Json]:
    """Every item of a conversation, the oldest first."""
    gone = {each.id for each in thread.gone}
    found: list[Json] = []
    for entry in thread.entries():
        if isinstance(entry, Thing):
            found.append(msgspec.json.decode(entry.body))
        else:
            found += _items_of(await story.load(taking.api, entry.id))
    return [item for item in found if gone_id(thread.id, item["id"]) not in gone]


async def said(taking: Taking, thread: Thread) -> tuple[list[Turn], list[str]]:
    """What was said in a conversation by now, and its instructions."""
    newest, gone = thread.newest, thread.gone
    if newest is not None and not any(each.created > newest.created for each in gone):
        # What the newest was given has all from before it.
        told = await story.load(taking.api, newest.id)
        later = [msgspec.json.decode(each.body) for each in thread.items if each.created > newest.created]
        turns, _ = await _read(taking, later)
        _, instructions = await _read(taking, [msgspec.json.decode(each.body) for each in thread.items])
        return exchange(told.events[: _end(told)], newest.id) + turns, instructions
    return await _read(taking, _paired(await items(taking, thread)))


async def _read(taking: Taking, found: list[Json]) -> tuple[list[Turn], list[str]]:
    reading = Reading(taking)
    for at, item in enumerate(found):
        await reading.add(msgspec.convert(item, Item), f"items[{at}]")
    return reading.turns, reading.instructions


def _items_of(told: Story) -> list[Json]:
    """What a task's responses were given that wasn't said before, and what they said."""
    task, notes = told.detail.row.id, cast(Json, told.spec.notes.get(NOTES) or {})
    found: list[Json] = []
    upto = 0
    while not found or upto < len(told.events):
        place = Place(task, upto)
        facts = facts_of(told.spec, place, 0.0)
        made = Items(Nowhere(), task, facts)
        reader = Reader(task, made, facts.terms.output is not None)
        end = told.tell(reader, upto)
        whole = made.end(end, reader.usage) if end is not None else made.so_far("in_progress")
        found += inputs(told, place, int(notes.get("before", 0)))
        found += whole["output"]
        if told.until(upto) <= upto:
            break
        upto = told.until(upto)
    return found


def _end(told: Story) -> int:
    """Where the last answer of a task ends."""
    upto = told.until(0)
    while upto < len(told.events):
        upto = told.until(upto)
    return upto


def _paired(found: list[Json]) -> list[Json]:
    """Without calls whose output is gone, and outputs whose call is."""
    calls = {item["call_id"] for item in found if item["type"] == "function_call"}
    both = calls & {item["call_id"] for item in found if item["type"] == "function_call_output"}
    return [item for item in found if item.get("call_id") is None or item["call_id"] in both]
