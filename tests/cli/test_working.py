"""Long work in a thread: told where it takes long, and ended by Ctrl-C with everything cleaned up."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from agenthost.cli import working
from agenthost.cli.screen import Screen
from agenthost.cli.working import Say, work


async def test_its_result_and_its_error_are_those_of_the_job() -> None:
    def fails(say: Say) -> None:
        raise ValueError("no")

    assert await work(Screen(), lambda say: 7) == 7
    with pytest.raises(ValueError, match="no"):
        await work(Screen(), fails)


async def test_cancelled_it_ends_once_the_job_has_cleaned_up(tmp_path: Path) -> None:
    began, left = threading.Event(), tmp_path / "left"

    def job(say: Say) -> None:
        left.touch()
        try:
            began.set()
            while True:
                say("working", 1, 2)
        finally:
            left.unlink()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(work(Screen(), job))
        await asyncio.to_thread(began.wait)
        running.cancel()
    assert running.cancelled() and not left.exists()


async def test_what_takes_long_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(working.time, "monotonic", lambda: now)

    def job(say: Say) -> None:
        nonlocal now
        for second in range(5):
            now = float(second)
            say("copying", second, 10)
        say("done", 0, 0)

    await work(Screen(), job)
    assert capsys.readouterr().err.splitlines() == ["copying: 20 %", "copying: 40 %"]
    now = 0.0
    await work(Screen(json=True), job)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"doing": "copying", "done": 20 // 10, "total": 10}, {"doing": "copying", "done": 4, "total": 10}]
