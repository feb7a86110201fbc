import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import agenthost
from agenthost.stores.sqlite import SQLiteStore

NOBODY = 65534


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "agenthost.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach, unlike `tmp_path`."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    for inside in folder.rglob("*"):
        if inside.is_dir():
            inside.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Rights count: root is nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    source = Path(agenthost.__file__).resolve()
    if not all(folder.stat().st_mode & 0o005 == 0o005 for folder in source.parents):
        pytest.skip("this checkout lies in root's own folder, where an ordinary user can't read it")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def pytest_itemcollected(item: pytest.Item) -> None:
    """What these tests keep in journals is made up: stores never look into it."""
    item.add_marker(pytest.mark.journals("the bodies of these events are made up"))
