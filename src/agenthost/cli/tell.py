"""Tells a followed task to whoever looks: a terminal, a pipe, a program."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.live import Live

from agenthost.cli.render import jsonl, plain
from agenthost.cli.render.live import Frames
from agenthost.cli.render.moments import Moment
from agenthost.cli.render.story import Story
from agenthost.cli.render.view import View
from agenthost.cli.screen import Screen
from agenthost.core.api import LiveDelta
from agenthost.core.events import Recorded


class Teller(Protocol):
    """Used with `with`; `pause` while a person is asked."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def tell(self, item: Recorded | LiveDelta, moments: list[Moment]) -> None: ...
    def tick(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class _Still:
    """A teller without anything that moves."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tick(self) -> None:
        return None

    def pause(self) -> None:
        return None

    def resume(self) -> None:
        return None


class JsonTeller(_Still):
    """One JSON object a line."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def tell(self, item: Recorded | LiveDelta, moments: list[Moment]) -> None:
        self._screen.line(jsonl.line(item))


class PlainTeller(_Still):
    """One line a moment."""

    def __init__(self, screen: Screen, view: View) -> None:
        self._screen = screen
        self._view = view

    def tell(self, item: Recorded | LiveDelta, moments: list[Moment]) -> None:
        for moment in moments:
            self._screen.line(plain.line(self._view, moment))


class TerminalTeller:
    """The story scrolls by; below it what goes on now, drawn in one go, so that nothing flickers."""

    def __init__(self, screen: Screen, view: View) -> None:
        self._view = view
        self._console = screen.console
        self._story = Story(view, screen.console)
        self._frames = Frames(view, screen.console)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def tell(self, item: Recorded | LiveDelta, moments: list[Moment]) -> None:
        pieces = [piece for piece in map(self._story.tell, moments) if piece is not None]
        if pieces:
            if self._live is not None:
                self._live.update(self._frames.frame(time.time()))
            self._console.print(*pieces, sep="\n")

    def tick(self) -> None:
        if self._live is not None:
            self._live.update(self._frames.frame(time.time()), refresh=True)

    def pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def resume(self) -> None:
        if self._live is None:
            self._live = Live(
                self._frames.frame(time.time()),
                console=self._console,
                auto_refresh=False,
                transient=True,
                vertical_overflow="ellipsis",
            )
            self._live.start()


def teller(screen: Screen, view: View) -> Teller:
    """The teller for a screen."""
    if screen.json:
        return JsonTeller(screen)
    return TerminalTeller(screen, view) if screen.live else PlainTeller(screen, view)
