"""`python -m bench`: measures, prints a table, writes `bench/latest.json`."""

import argparse
import functools
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench import control, footprint, growth, lasting, local, peers, report, routing, sandbox, serving, soak, throughput
from bench.boxes import BOXES
from bench.processes import ROOT, FakeModel, NotMeasured, cores, folder
from bench.records import Results
from bench.setting import FULL, QUICK, SUBJECTS, TINY, Setting, Subject

SUITES: dict[str, Callable[[Setting], None]] = {
    throughput.SUITE: throughput.measure,
    footprint.SUITE: footprint.measure,
    serving.SUITE: serving.measure,
    lasting.SUITE: lasting.measure,
    sandbox.SUITE: sandbox.measure,
    soak.SUITE: soak.measure,
    local.SUITE: local.measure,
    growth.SUITE: growth.measure,
    routing.SUITE: routing.measure,
    control.SUITE: control.measure,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Our figures beside floors and peers.")
    parser.add_argument("--quick", action="store_true", help="a first impression, in under 90 seconds")
    parser.add_argument("--tiny", action="store_true", help="only whether everything works; the figures mean nothing")
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="only this one (may be repeated)")
    parser.add_argument(
        "--box", action="append", choices=[box.name for box in BOXES], help="only this sandbox (may be repeated)"
    )
    parser.add_argument("--image", default="", metavar="NAME", help="Docker's image, else the sandbox's default one")
    parser.add_argument("--minutes", type=float, default=0, help="how long the soak goes on, for each sandbox")
    parser.add_argument("--no-peers", action="store_true", help="ours and the floors only; nothing is installed")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "bench" / "latest.json", metavar="FILE", help="what to write"
    )
    return parser.parse_args()


class _Pythons:
    """The interpreter of each subject. The peers' is installed when it is first needed, and tried once."""

    def __init__(self) -> None:
        self._peers = functools.cache(self._install)

    def __call__(self, subject: Subject) -> Path:
        if not subject.peer:
            return Path(sys.executable)
        found = self._peers()
        if isinstance(found, NotMeasured):
            raise NotMeasured(str(found))
        return found

    @staticmethod
    def _install() -> Path | NotMeasured:
        try:
            return peers.python()
        except NotMeasured as reason:
            return reason


def _console() -> Console:
    """As wide as the table needs where nobody's window says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=132)


def main() -> int:
    """Measure; exit code 0 also where a peer could not be had, which the report says."""
    arguments = _arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    scale = TINY if arguments.tiny else QUICK if arguments.quick else FULL
    subjects = tuple(subject for subject in SUBJECTS if not (subject.peer and arguments.no_peers))
    console, progress = _console(), Console(stderr=True)
    results = Results()
    began = time.monotonic()
    model = FakeModel()
    try:
        with folder() as place, progress.status("measuring") as status:
            setting = Setting(scale, results, place, model, subjects, _Pythons(), status.update)
            setting.boxes = tuple(box for box in BOXES if not arguments.box or box.name in arguments.box)
            setting.image, setting.minutes = arguments.image, arguments.minutes
            for name in arguments.suite or SUITES:
                SUITES[name](setting)
    finally:
        model.close()
    report.show(console, results)
    for note in setting.notes:
        console.print(f"[yellow]note[/]: {escape(note)}", highlight=False)
    results.write(arguments.json)
    pinned = "each subject on one core, the model server on another" if cores()[0] else "one core for all, not pinned"
    console.print(
        f"[dim]{platform.system()} {platform.release()}, {os.cpu_count()} cores ({pinned}), "
        f"Python {platform.python_version()}; {time.monotonic() - began:.0f} s; {arguments.json}[/]",
        highlight=False,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
