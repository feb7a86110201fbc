"""What the host says to a button that was pressed too late."""

from agenthost.core.conversations import Line
from agenthost.core.errors import Conflict

OVER = "That is over, or it isn't yours to say."


def late(line: Line, refused: Conflict) -> str:
    """What is told to who pressed, whose answer was `refused`; empty where it was this press itself that was taken, before the host was cut off."""
    at = refused.details.get("at", 0.0)
    mine = isinstance(at, float) and at >= line.at and refused.details.get("text") == line.text
    return "" if mine else refused.message
