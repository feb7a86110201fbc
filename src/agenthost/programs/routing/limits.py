"""How much of a conversation a scene shows."""

MOST_TOPICS = 40
"""Tasks: those that go on and were spoken of last, and those that have words of the message."""

MOST_SAID = 4
"""The last lines that were said for each of them."""

MOST_RECENT = 8
"""The last lines of the conversation, whatever task they are for."""

MOST_CANDIDATES = 5
"""How many tasks a person is asked to choose from."""
