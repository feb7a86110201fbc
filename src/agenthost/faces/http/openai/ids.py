"""Ids that a client gets: each names a task and a place in its journal, so that nothing else need be kept."""

import re

from msgspec import Struct

_TASK = r"[0-9a-hjkmnp-tv-z]{16}"
_RESPONSE = re.compile(rf"resp_({_TASK})_([0-9]{{1,9}})")
_CALL = re.compile(rf"(?:call|fc)_({_TASK})_([a-z0-9~-]{{1,40}})")
_SAID = re.compile(rf"msg_({_TASK})_([0-9]{{1,9}})")


class Place(Struct, frozen=True):
    """A place in a task's journal: what comes after event number `seq` (0: all of it)."""

    task: str
    seq: int = 0


def response_id(place: Place) -> str:
    """Of the response that begins at a place."""
    return f"resp_{place.task}_{place.seq}"


def completion_id(place: Place) -> str:
    """Of the chat completion that begins at a place."""
    return f"chatcmpl-{place.task}-{place.seq}" if place.seq else f"chatcmpl-{place.task}"


def call_id(task: str, question: str) -> str:
    """Of a tool call that the client is to run: the question that its answer is for."""
    return f"call_{task}_{question}"


def item_id(call: str) -> str:
    """Of the item that holds a tool call."""
    return "fc_" + call.removeprefix("call_")


def message_id(task: str, seq: int) -> str:
    """Of a message: the event that made it."""
    return f"msg_{task}_{seq}"


def read_response(id: str) -> Place | None:
    """The place of a response's id; None where it is none of ours."""
    found = _RESPONSE.fullmatch(id)
    return Place(found[1], int(found[2])) if found else None


def read_call(id: str) -> tuple[str, str] | None:
    """Task and question of a call's (or its item's) id; None where it is none of ours."""
    found = _CALL.fullmatch(id)
    return (found[1], found[2]) if found else None


def read_message(id: str) -> Place | None:
    """Task and event of a message's id; None where it is none of ours."""
    found = _SAID.fullmatch(id)
    return Place(found[1], int(found[2])) if found else None
