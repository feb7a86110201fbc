"""Who may write through a channel, and whose key of the host their messages are given with."""

from collections.abc import Iterable, Mapping

from agenthost.outposts.channel.port import Heard


def _plain(name: str | int) -> str:
    """A name as it is compared: `@names` in small letters, ids as they are."""
    return str(name).strip().lower()


class Doorman:
    """`allow`: accounts, `@names` and places that may write; `*` lets everybody in. `own`: accounts and `@names` with a post of their own, and its name."""

    def __init__(self, allow: Iterable[str | int], own: Mapping[str, str] | None = None) -> None:
        self._allow = {_plain(name) for name in allow}
        self._own = {_plain(name): post for name, post in (own or {}).items()}

    def may(self, heard: Heard) -> bool:
        """Whether who wrote may. Whoever has a key of their own may."""
        return "*" in self._allow or not {*self._known(heard)}.isdisjoint(self._allow | self._own.keys())

    def post(self, heard: Heard) -> str:
        """The name of the post that their messages go to, empty for everybody's."""
        return next((self._own[name] for name in self._known(heard) if name in self._own), "")

    @staticmethod
    def _known(heard: Heard) -> tuple[str, ...]:
        return (_plain(heard.account), *(_plain(name) for name in heard.names))
