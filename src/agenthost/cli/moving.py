"""`agenthost tasks move`: a message of a conversation was meant for another task."""

from argparse import Namespace

from agenthost.cli.connect import Reached
from agenthost.cli.options import Parser
from agenthost.cli.screen import Screen
from agenthost.core.conversations import Conversing, Line, LineFilter
from agenthost.core.errors import NotFound, Unavailable

NEW = "new"
"""What stands for a task that begins with the message."""

LOOKED_AT = 50
"""Lines among which the last message is looked for."""


def words(move: Parser) -> None:
    """What can be said to it."""
    move.add_argument("--to", required=True, metavar="TASK", help=f"the task that it was meant for, or `{NEW}`")
    move.add_argument("--name", default="", help=f"with `--to {NEW}`: the agent or workflow that takes it")
    move.add_argument("--line", type=int, default=0, metavar="N", help="which message (its place); the task's last one")


async def run(args: Namespace, host: Reached, screen: Screen) -> int:
    """Move it, and say what couldn't be undone."""
    own = host.conversations
    if own is None:
        raise Unavailable("this host holds no conversations")
    line = await own.line(args.line) if args.line else await _last(own, args.task)
    to = "" if args.to == NEW else await host.api.find(args.to)
    moved = await own.move(line.place, to, args.name)
    if screen.json:
        screen.object(moved)
    else:
        screen.say(f"“{line.text}” is for the task {moved.line.task} now.")
        if moved.left:
            screen.say(moved.left)
    return 0


async def _last(own: Conversing, task: str) -> Line:
    for line in reversed(await own.lines(LineFilter(task=task, by="person", newest=True, limit=LOOKED_AT))):
        if line.became:
            return line
    raise NotFound(
        f"no message of a conversation was filed for the task {task}; `agenthost tasks show {task}` shows it"
    )
