"""A Docker engine of our own, as the tests have theirs: tests/testbeds starts and ends it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import ROOT, NotMeasured


@contextmanager
def engine() -> Iterator[tuple[str, str, Path]]:
    """Its address, the image that it has, its folder. Gone afterwards, and with this process. Raises NotMeasured."""
    if str(ROOT / "tests") not in sys.path:
        sys.path.append(str(ROOT / "tests"))
    from testbeds import engines as bed
    from testbeds.docker import DOCKER

    folder = bed.folder_of(bed.base_of_run(), DOCKER)
    try:
        try:
            address = bed.engine(DOCKER, folder, os.getpid())
        except bed.Missing as reason:
            raise NotMeasured(str(reason)) from None
        yield address, bed.IMAGE, folder
    finally:
        if folder.exists():
            bed.end(folder)
