"""What a run's room does with the workspace before the run begins."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.sandboxes.inside import rooms


def test_a_file_that_another_run_takes_away_meanwhile_stops_no_handing_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of one workspace go on at once, and one's temporary file may end between the listing and the look at it."""
    owner = 1000 if os.geteuid() == 0 else os.geteuid()
    for name in ("gone", "stays"):
        (tmp_path / name).touch()
    walk = os.fwalk

    def taken(*args: Any, **named: Any) -> Iterator[Any]:
        for found in walk(*args, **named):
            (tmp_path / "gone").unlink()
            yield found

    monkeypatch.setattr(os, "fwalk", taken)
    rooms.hand_over(str(tmp_path), owner)
    assert [(each.name, each.stat().st_uid) for each in tmp_path.iterdir()] == [("stays", owner)]
