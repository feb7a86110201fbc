"""A real terminal (a pseudo one) and real signals: the command in a process of its own, against recorded journals."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.recorded import ROOT

PATIENCE = 60


class Terminal:
    """`tests/cli/played.py` in a pseudo-terminal of 80 columns."""

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self._main, side = pty.openpty()
        environ = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40", "PYTHONIOENCODING": "utf-8"} | (env or {})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.played", *words],
            stdin=side,
            stdout=side,
            stderr=side,
            env=environ,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        os.close(side)
        self.raw = ""

    @property
    def shown(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def until(self, words: str) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self.shown:
            assert time.monotonic() < end, f"never showed {words!r}: {self.shown}"
            if not self._read():
                assert words in self.shown, f"ended without {words!r}: {self.shown}"

    def _read(self) -> bool:
        ready, _, _ = select.select([self._main], [], [], 0.2)
        if not ready:
            return self.process.poll() is None
        try:
            got = os.read(self._main, 65536)
        except OSError:
            return False
        self.raw += got.decode(errors="replace")
        return bool(got)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._main)
        return self.process.wait(PATIENCE)


def test_a_question_is_asked_right_there_and_the_answer_goes_on() -> None:
    terminal = Terminal("question")
    terminal.until("  > ")
    assert "1. SQLite" in terminal.shown and "2. PostgreSQL" in terminal.shown
    terminal.type("7\n")
    terminal.until("Type a number from 1 to 2.")
    terminal.type("1\n")
    terminal.until("SQLite it is.")
    assert terminal.end() == 0
    assert "replied: SQLite" in terminal.shown


def test_the_end_of_input_leaves_the_question_for_later() -> None:
    terminal = Terminal("question")
    terminal.until("  > ")
    terminal.type("\x04")
    assert terminal.end() == 4
    assert f"agenthost tasks reply {ROOT} SQLite" in terminal.shown


def test_ctrl_c_once_keeps_the_task_and_says_how_to_go_on() -> None:
    terminal = Terminal("endless")
    terminal.until("coder")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert f"agenthost tasks follow {ROOT}" in terminal.shown
    assert "cancelled:" not in terminal.shown


def test_ctrl_c_twice_cancels() -> None:
    terminal = Terminal("endless")
    terminal.until("coder")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Ctrl-C again cancels it")
    time.sleep(0.3)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "cancelled: Ctrl-C twice" in terminal.shown


def test_one_key_press_that_arrives_twice_is_one() -> None:
    terminal = Terminal("endless")
    terminal.until("coder")
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "cancelled:" not in terminal.shown


def test_ctrl_c_with_a_running_host_stops_following_only() -> None:
    terminal = Terminal("endless", "running")
    terminal.until("coder")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "the task goes on" in terminal.shown
    assert "cancelled:" not in terminal.shown


def test_ctrl_c_at_a_question_keeps_the_task() -> None:
    terminal = Terminal("question")
    terminal.until("  > ")
    terminal.type("\x03")
    # The pseudo-terminal is not the session's own, so the signal is sent as the kernel would.
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_the_persons_choice(env: dict[str, str], coloured: bool) -> None:
    terminal = Terminal("demo", env=env)
    terminal.until("the checker passed attempt 2")
    assert terminal.end() == 0
    assert bool(re.search(r"\x1b\[[0-9;]*3[1-6]m", terminal.raw)) is coloured


def test_a_dumb_terminal_gets_plain_lines() -> None:
    terminal = Terminal("demo", env={"TERM": "dumb"})
    terminal.until("the checker passed attempt 2")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.raw


def test_nothing_of_the_live_display_is_left_behind() -> None:
    terminal = Terminal("demo")
    assert terminal.end() == 0
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h")
