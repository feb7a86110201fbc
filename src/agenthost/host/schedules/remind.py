"""The tool `remind`: an agent comes back to something later, in the name of the person whose task it is."""

from collections.abc import Awaitable, Callable, Iterable
from math import ceil
from typing import Any

from agenthost.core.errors import BadInput, Unavailable
from agenthost.core.events import Created, Received, Recorded
from agenthost.core.manifests.common import read_duration
from agenthost.core.parts import text_of
from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result
from agenthost.machine.zone import local_zone
from agenthost.manifests.timing import here, read_when, read_zone, shown
from agenthost.programs.trust.state import STRANGERS
from agenthost.programs.trust.words import own

SPEC = ToolSpec(
    "remind",
    "Come back to something later: at that time you are started again, with your note, for the same person and in the same "
    "conversation. Give either `at` or `after`.",
    {
        "type": "object",
        "properties": {
            "note": {"type": "string", "minLength": 1, "maxLength": 4000, "description": "What is to be done then."},
            "at": {
                "type": "string",
                "description": "2026-12-24T18:00, 18:00 (the next time it is), or tomorrow 09:00.",
            },
            "after": {"type": "string", "description": "How long from now, such as 20m or 1h30m."},
            "timezone": {
                "type": "string",
                "description": "The person's, such as Europe/Athens; the host's if not given.",
            },
        },
        "required": ["note"],
        "additionalProperties": False,
    },
    idempotent=True,
    targets=(),
)

MOST_SAID = 20_000
"""Characters of what the person said that a reminder keeps; the newest."""

Make = Callable[[ToolContext, dict[str, Any]], Awaitable[str]]


class Remind:
    """Fulfils core.ports.Tool. Whoever keeps schedules says how one is made (`serve`): tools are joined before that."""

    def __init__(self) -> None:
        self._make: Make | None = None

    def serve(self, make: Make) -> None:
        """From now on reminders are made by `make`, which says what it made; it raises BadInput."""
        self._make = make

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        return SPEC

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """Make a reminder; with the same key, once."""
        if self._make is None:
            raise Unavailable("this host keeps no schedules")
        try:
            return text_result(await self._make(context, arguments))
        except BadInput as error:
            return text_result(error.message, error=True)

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """Nothing: it is idempotent, and made again."""
        return None


def said(events: Iterable[Recorded]) -> str:
    """What a person has said in a task so far, without what they quote."""
    told: list[str] = []
    for event in (one.event for one in events):
        message = event.spec.message if isinstance(event, Created) else None
        message = event.message if isinstance(event, Received) else message
        if message is not None and not message.sender.startswith((*STRANGERS, "task:")):
            told.append(own(text_of(message.parts))[0].strip())
    return "\n\n".join(text for text in told if text)[-MOST_SAID:]


def reminder(wanted: dict[str, Any], agent: str, conversation: str, now: float, words: str = "") -> dict[str, Any]:
    """What a schedule says that an agent wants, as the `spec` of its kind; `words` are the person's in the task that makes
    it. Raises BadInput; reads time zones from files."""
    named = str(wanted.get("timezone", ""))
    zone = read_zone(named) if named else here(local_zone())
    at, after = str(wanted.get("at", "")), str(wanted.get("after", ""))
    if bool(at) == bool(after):
        raise BadInput("give either 'at', a time, or 'after', how long from now")
    try:
        moment = read_when(at, zone, now) if at else ceil(now + float(read_duration(after)))
    except ValueError as error:
        raise BadInput(f"'after' {after[:40]}: {error}") from None
    # What an agent wrote isn't what its person says: it stands there as a quote, by which nobody is asked for anything. It
    # may have been written after reading what a stranger wrote.
    note = "\n".join(f"> {line}" for line in str(wanted["note"]).splitlines())
    text = f"A note that you, the agent, left yourself earlier, to come back to now:\n\n{note}"
    text += f"\n\nBefore that the person had said:\n\n{words}" if words else ""
    spec: dict[str, Any] = {"at": shown(moment, zone), "timezone": zone.key, "run": {"agent": agent, "text": text}}
    return spec | ({"conversation": conversation} if conversation else {})
