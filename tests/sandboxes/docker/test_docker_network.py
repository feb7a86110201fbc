"""Granted network, services and packages in Docker."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testbeds.docker import IMAGE

from agenthost.core.errors import Unavailable
from agenthost.sandboxes.docker.packages import target
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.layers import Target
from agenthost.testing.egress import EgressSuite, ServiceSuite
from agenthost.testing.outside import Outside, outside
from agenthost.testing.packages import PackagesSuite, index

__all__ = ["index"]


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def sandbox(docker_engine: str, workspaces: Path, world: Outside) -> AsyncIterator[Docker]:
    settings = DockerSettings(host=docker_engine, image=IMAGE, warm=0)
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}", world.way)
    yield sandbox
    await sandbox.close()


class TestGrantedNetwork(EgressSuite):
    pass


class TestServices(ServiceSuite):
    pass


class TestPackages(PackagesSuite):
    pass


@pytest.mark.parametrize(
    ("libc", "platform"),
    [
        ("glibc 2.36", "manylinux_2_36"),
        ("glibc 2.99", "manylinux_2_40"),
        ("glibc 2.30", "manylinux_2_28"),
        ("", "unknown-linux-musl"),
    ],
)
def test_packages_are_for_the_images_own_python(libc: str, platform: str) -> None:
    greeting = {"python": "3.12.1", "machine": "aarch64", "libc": libc, "site": ["/usr/lib/python3/site-packages"]}
    assert target(greeting) == (Target("3.12.1", f"aarch64-{platform}"), "/usr/lib/python3/site-packages")


@pytest.mark.parametrize(
    "odd",
    [
        {"python": "3.12.1 --index-url=x"},
        {"machine": "m68k"},
        {"libc": "newlib"},
        {"site": ["/a/../../etc"]},
        {"site": "x"},
    ],
)
def test_what_a_greeting_can_not_say_is_refused(odd: dict[str, object]) -> None:
    greeting = {"python": "3.12.1", "machine": "x86_64", "libc": "", "site": ["/usr/lib"]}
    with pytest.raises(Unavailable, match="this image's Python"):
        target(greeting | odd)
