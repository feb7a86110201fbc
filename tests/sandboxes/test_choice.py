"""Which sandbox a policy gets: never less than it demands, else what is set, else the strongest that is here."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import NotFound, Temporary, Unavailable
from agenthost.core.ports import Sandbox, silent
from agenthost.core.sandboxes import ISOLATIONS, Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.choice import BackEnd, Choice


class Place:
    """A sandbox that says where it ran, and may be away or fail."""

    def __init__(self, name: str, isolation: Isolation, here: bool = True) -> None:
        self.name = name
        self.isolation = isolation
        self.here = here
        self.looks = 0
        self.failure: Exception | None = None
        self.released: list[str] = []
        self.closed = False

    async def available(self) -> Availability:
        self.looks += 1
        await asyncio.sleep(0)
        return Availability(True) if self.here else Availability(False, f"{self.name} is away", f"install {self.name}")

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        tell(self.name)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        if self.failure is not None:
            raise self.failure
        return SandboxOutcome(0, self.name.encode())

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> Any:
        raise Unavailable(f"{self.name} has no services")

    async def release(self, workspace: str) -> None:
        self.released.append(workspace)

    async def close(self) -> None:
        self.closed = True


class Here:
    """The usual back ends, each here or not."""

    def __init__(self, *here: str, kind: str = "auto") -> None:
        self.places = {
            "gvisor": Place("gvisor", "kernel"),
            "docker": Place("docker", "process"),
            "bubblewrap": Place("bubblewrap", "process"),
            "functions": Place("functions", "kernel"),
        }
        for name, place in self.places.items():
            place.here = name in here
        can: dict[str, Any] = {"gvisor": {"images", "hosts"}, "docker": {"images", "hosts"}}
        self.choice = Choice(
            [
                BackEnd(name, place.isolation, self._make(place), frozenset(can.get(name, ())), name != "functions")
                for name, place in self.places.items()
            ],
            kind,
        )

    def _make(self, place: Place) -> Callable[[], Sandbox]:
        return lambda: cast(Sandbox, place)

    async def ran(self, **demands: Any) -> str:
        return (await self.choice.run(SandboxRun(("x",), "/w", SandboxPolicy(**demands)))).stdout.decode()


ALL = ("gvisor", "docker", "bubblewrap", "functions")


async def test_the_strongest_that_is_here_is_taken_and_somebody_elses_machine_never_by_itself() -> None:
    assert await Here(*ALL).ran() == "gvisor"
    assert await Here("docker", "bubblewrap", "functions").ran() == "docker"
    assert await Here("bubblewrap", "functions").ran() == "bubblewrap"
    with pytest.raises(Unavailable, match=r"bubblewrap is away; gvisor: gvisor is away; docker: .* install bubblewrap"):
        await Here("functions").ran()


async def test_what_is_set_runs_what_demands_nothing_and_not_what_demands_more() -> None:
    here = Here(*ALL, kind="bubblewrap")
    assert await here.ran() == "bubblewrap"
    assert await here.ran(isolation="kernel") == "gvisor"
    assert await here.ran(image="python:3") == "gvisor"
    assert await here.ran(kind="docker") == "docker"
    assert await Here(*ALL, kind="functions").ran() == "functions"
    with pytest.raises(Unavailable, match="docker is away"):
        await Here("bubblewrap", "gvisor", kind="docker").ran()


async def test_what_is_demanded_and_not_here_is_refused_with_what_there_is() -> None:
    here = Here("bubblewrap", "docker")
    with pytest.raises(
        Unavailable, match="isolation kernel is demanded, and gvisor is away. To mend it: install gvisor"
    ):
        await here.ran(isolation="kernel")
    with pytest.raises(
        Unavailable, match=r"kind runc is demanded, and no sandbox.*there are gvisor \(isolation kernel"
    ):
        await here.ran(kind="runc")
    with pytest.raises(Unavailable, match="kind bubblewrap with image a is demanded"):
        await here.ran(kind="bubblewrap", image="a")
    with pytest.raises(Unavailable, match="kind docker with isolation kernel"):
        await here.ran(kind="docker", isolation="kernel")
    with pytest.raises(Unavailable, match=r"kind bubblewrap with network to a\.b"):
        await here.ran(kind="bubblewrap", hosts=("a.b",))
    assert not (await here.choice.suits(SandboxPolicy(isolation="kernel"))).available
    assert (await here.choice.suits(SandboxPolicy())).detail == "docker"


POLICIES = st.builds(
    SandboxPolicy,
    kind=st.sampled_from(["", *ALL, "other"]),
    isolation=st.sampled_from(ISOLATIONS),
    image=st.sampled_from(["", "a"]),
    hosts=st.sampled_from([(), ("a.b",)]),
)


@settings(deadline=None)
@given(POLICIES, st.sets(st.sampled_from(ALL)), st.sampled_from(["auto", *ALL]))
def test_nothing_ever_runs_in_less_than_it_demands(policy: SandboxPolicy, present: set[str], kind: str) -> None:
    async def work() -> None:
        here = Here(*present, kind=kind)
        suits = await here.choice.suits(policy)
        try:
            ran = (await here.choice.run(SandboxRun(("x",), "/w", policy))).stdout.decode()
        except Unavailable:
            assert not suits.available
            return
        assert suits.available
        assert ran in present
        assert policy.kind in ("", ran)
        assert ISOLATIONS.index(here.places[ran].isolation) >= ISOLATIONS.index(policy.isolation)
        assert not (policy.image or policy.hosts) or ran in ("gvisor", "docker")
        assert ran != "functions" or "functions" in (policy.kind, kind)

    asyncio.run(work())


async def test_each_is_looked_at_once_and_again_after_a_failure() -> None:
    here = Here("docker", "bubblewrap")
    for _ in range(3):
        assert await here.ran() == "docker"
    docker = here.places["docker"]
    assert (docker.looks, here.places["bubblewrap"].looks) == (1, 0)

    docker.failure = Temporary("the process exited", code="sandbox")
    with pytest.raises(Temporary):
        await here.ran()
    docker.failure, docker.here = None, False
    assert await here.ran() == "bubblewrap"
    assert docker.looks == 2


async def test_before_something_is_refused_it_is_looked_at_again() -> None:
    here = Here("bubblewrap")
    assert not (await here.choice.suits(SandboxPolicy(kind="docker"))).available
    assert here.places["docker"].looks == 1
    here.places["docker"].here = True
    assert await here.ran(kind="docker") == "docker"


async def test_everything_is_surveyed_anew_and_then_the_stronger_is_taken() -> None:
    here = Here("bubblewrap")
    assert await here.ran() == "bubblewrap"
    here.places["gvisor"].here = True
    seen = {each.name: each for each in await here.choice.survey()}
    assert [name for name, each in seen.items() if each.chosen] == ["gvisor"]
    assert seen["docker"].availability == Availability(False, "docker is away", "install docker")
    assert await here.ran() == "gvisor"


async def test_those_that_were_used_are_told_of_ends() -> None:
    here = Here(*ALL)
    await here.ran()
    await here.choice.release("/w")
    await here.choice.close()
    assert (here.places["gvisor"].released, here.places["gvisor"].closed) == (["/w"], True)
    assert not here.places["docker"].released and not here.places["docker"].closed


def test_a_kind_that_isnt_there_is_refused_by_its_names() -> None:
    with pytest.raises(NotFound, match='there is no sandbox \'runc\'.*one of "auto", "gvisor"'):
        Here(kind="runc")


async def test_what_fails_to_end_does_not_keep_the_others_and_nothing_is_started_after_the_end() -> None:
    here = Here(*ALL)
    await here.ran()
    await here.ran(kind="docker")
    gvisor, docker = here.places["gvisor"], here.places["docker"]

    async def fail(*_: str) -> None:
        raise Temporary("no")

    gvisor.close, gvisor.release = fail, fail  # type: ignore[method-assign]
    for ending in (here.choice.release("/w"), here.choice.close()):
        with pytest.raises(Temporary):
            await ending
    assert (docker.released, docker.closed) == (["/w"], True)
    with pytest.raises(Unavailable, match="ends"):
        await here.ran()


async def test_a_failure_meanwhile_does_not_spoil_the_words_of_a_refusal() -> None:
    here = Here("docker")
    docker, bubblewrap = here.places["docker"], here.places["bubblewrap"]
    fail = asyncio.Event()

    async def runs_and_fails(run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        await fail.wait()
        raise Temporary("dead", code="sandbox")

    docker.run = runs_and_fails  # type: ignore[method-assign]
    going = asyncio.get_running_loop().create_task(here.ran())
    await asyncio.sleep(0.01)
    docker.here = False
    await here.choice.survey()

    async def away() -> Availability:
        fail.set()
        await asyncio.wait([going])
        return Availability(False, "away", "install it")

    bubblewrap.available = away  # type: ignore[method-assign]
    assert "docker: it has just failed" in (await here.choice.suits(SandboxPolicy())).detail
    assert isinstance(going.exception(), Temporary)
