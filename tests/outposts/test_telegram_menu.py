"""The bot's menu and what the host understands are one."""

from agenthost.outposts.telegram.channel import COMMANDS
from agenthost.outposts.telegram.hearing import GREETINGS, TAKES_BACK
from agenthost.programs.routing import commands

OWN = {TAKES_BACK.removeprefix("/"), *(greeting.removeprefix("/") for greeting in GREETINGS)}
"""What the channel itself does, in the host's place."""

SPELLINGS = {"list": "tasks", "stop": "cancel", "task": "", "start": ""}
"""What is understood and in no menu: another word for one that is, what needs an id, and what Telegram sends by itself."""


def test_every_command_of_the_menu_is_understood() -> None:
    for name in COMMANDS.keys() - OWN:
        assert commands.read(f"/{name}") is not None, name


def test_every_command_that_is_understood_is_in_the_menu() -> None:
    missing = commands.NAMES.keys() - COMMANDS.keys()
    assert missing == SPELLINGS.keys()
    for name, shown in SPELLINGS.items():
        assert not shown or commands.NAMES[name] == commands.NAMES[shown]


def test_the_menu_keeps_telegrams_limits() -> None:
    # Bot API, BotCommand: 1 to 32 small letters, digits and underscores; 1 to 256 characters.
    for name, text in COMMANDS.items():
        assert name.isascii() and name.islower() and 0 < len(name) <= 32 and 0 < len(text) <= 256
