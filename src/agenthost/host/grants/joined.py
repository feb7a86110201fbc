"""Joins what gives and uses grants."""

from collections.abc import Callable

from agenthost.host.adapters import Adapters
from agenthost.host.grants.book import Book
from agenthost.host.grants.desk import Desk


def joined(adapters: Adapters, redact: Callable[[bytes], bytes]) -> tuple[Book, Desk]:
    """Who answers by grants and gives them, and where they are looked after."""
    return Book(adapters.grants, adapters.accounts, redact), Desk(adapters.grants, adapters.accounts)
