"""What every test stands on really holds."""

import asyncio
import socket
from pathlib import Path

import pytest
from blockbuster import BlockingError

from agenthost.stores.sqlite.connection import open_database


@pytest.mark.journals("what it opens is cut off halfway")
async def test_a_call_that_blocks_the_loop_is_caught(tmp_path: Path) -> None:
    with pytest.raises(BlockingError):
        open_database(tmp_path / "agenthost.db")


async def test_the_same_in_a_thread_is_not(tmp_path: Path) -> None:
    connection = await asyncio.to_thread(open_database, tmp_path / "agenthost.db")
    await asyncio.to_thread(connection.close)


@pytest.mark.parametrize("address", ["192.0.2.1", "169.254.169.254", "10.0.0.1", "2001:db8::1", "example.com"])
def test_another_machine_is_out_of_reach(address: str) -> None:
    for reach in (
        lambda: socket.create_connection((address, 80), timeout=1),
        lambda: socket.getaddrinfo(address, 80),
    ):
        with pytest.raises(AssertionError, match="nothing but this machine"):
            reach()


async def test_the_loops_own_connections_are_checked_too() -> None:
    with pytest.raises(AssertionError, match="nothing but this machine"):
        await asyncio.open_connection("192.0.2.1", 80)
