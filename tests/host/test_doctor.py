"""What `doctor` says of what is wrong."""

import asyncio
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agenthost.core.api import Finding, ModelLine
from agenthost.core.commands import Verdict
from agenthost.core.errors import StoreDamaged
from agenthost.core.events import Answered, Finished, Nothing, Recorded
from agenthost.core.machines import MachineFacts, Need
from agenthost.core.ports import Sandbox, Store
from agenthost.core.sandboxes import Availability
from agenthost.host import doctor
from agenthost.host.logs import event_line
from agenthost.host.settings import load
from agenthost.machine.ledger import Ledger
from tests.host.conftest import Lines


class Nowhere:
    name = "bubblewrap"

    async def available(self) -> Availability:
        return Availability(False, "bwrap is not installed", "apt-get install -y bubblewrap")


class Damaged:
    async def tasks(self, wanted: object) -> list[Any]:
        raise StoreDamaged("the database is damaged; restore it")


async def nothing_found() -> list[Any]:
    return []


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find", nothing_found)


FACTS = MachineFacts(2.0, 4 << 30)


async def examined(
    home: Path, models: list[ModelLine], default: str = "", machine: Ledger | None = None
) -> dict[str, Finding]:
    settings = load(home, {"AGENTHOST_MODEL": default})
    found = await doctor.examine(
        settings, cast(Sandbox, Nowhere()), machine or Ledger(FACTS, Need(1)), cast(Store, Damaged()), models
    )
    return {each.what: each for each in found}


async def test_each_thing_that_is_wrong_comes_with_its_mending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5))
    found = await examined(tmp_path, [])
    assert found["home"].status == "warn" and "make room" in found["home"].fix
    assert found["database"] == Finding("fail", "database", "the database is damaged; restore it")
    assert found["sandbox"].fix == "apt-get install -y bubblewrap"
    assert (
        found["model"].status == "warn"
        and found["model"].seen == "none is set"
        and "OPENAI_API_KEY" in found["model"].fix
    )
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert (await examined(tmp_path, []))["home"].status == "fail"


async def test_the_default_model_is_said_to_be_good_or_why_it_is_not(tmp_path: Path) -> None:
    lines = [
        ModelLine("default", "openai", False, note="OPENAI_API_KEY isn't set"),
        ModelLine("ollama:a", "ollama", True),
    ]
    bad = (await examined(tmp_path, lines, "openai:x"))["model"]
    assert bad.status == "warn" and bad.seen == "the default model 'openai:x' can't be used: OPENAI_API_KEY isn't set"
    assert (await examined(tmp_path, lines))["model"].seen == "can be used: ollama:a"
    good = (await examined(tmp_path, [ModelLine("default", "openai", True)], "openai:x"))["model"]
    assert good.status == "ok" and good.seen == "default is openai:x"


async def test_models_of_this_machine_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def one() -> list[Any]:
        await asyncio.sleep(0)
        return [SimpleNamespace(provider="ollama", base_url="http://127.0.0.1:11434/v1", names=("a", "b"))]

    monkeypatch.setattr(doctor, "find", one)
    assert (await examined(tmp_path, []))["local models"].seen == "ollama at http://127.0.0.1:11434/v1: a, b"


def test_a_line_of_the_log_names_the_event_and_never_its_contents(caplog: pytest.LogCaptureFixture) -> None:
    log = Lines()
    with caplog.at_level("INFO", "agenthost"):
        event_line(log, Recorded("t", 3, 1.0, Answered("m1", Nothing())), "echo")
        event_line(log, Recorded("t", 4, 1.0, Finished(Verdict("done", "a secret reason"))), "echo")
    assert log.lines == [
        ("info", "answered", {"task": "t", "agent": "echo", "seq": 3, "command": "m1"}),
        ("info", "finished", {"task": "t", "agent": "echo", "seq": 4, "outcome": "done"}),
    ]
    with caplog.at_level("WARNING", "agenthost"):
        event_line(log, Recorded("t", 5, 1.0, Answered("m1", Nothing())), "echo")
    assert len(log.lines) == 2


async def test_the_machine_and_who_waits_for_a_part_of_it_are_told(tmp_path: Path) -> None:
    machine = Ledger(FACTS, Need(1 << 30))
    async with asyncio.timeout(60):
        hold = await machine.hold(Need(1 << 30), "one")
        waiting = asyncio.get_running_loop().create_task(machine.hold(Need(512 << 20), "task-two"))
        await asyncio.sleep(0)
        found = await examined(tmp_path, [], machine=machine)
        await hold.release()
        await waiting
    assert "of memory" in found["machine"].seen and "hands out" in found["machine"].seen
    assert found["GPU"].seen
    assert found["waiting"].seen.startswith("task-two for 512 MiB of memory, since ")
