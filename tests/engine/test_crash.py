"""The crash rule, at every point of fixed scenarios and at random ones of random programs."""

from typing import Any

import pytest
from bundles import agent, plan, turns, world_of
from crashes import Mortal, survive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.budgets import Limits
from agenthost.core.tasks import TaskSpec
from agenthost.testing.loops import fast
from agenthost.testing.world import order, says

FANNED = [
    {"id": "plan", "role": "coder", "prompt": "plan"},
    {"id": "each", "role": "coder", "prompt": "do {{ item }}", "foreach": "[1, 2]"},
    {"id": "run", "command": "make", "retry": {"max": 2, "delay": "1s"}},
    {"id": "tell", "tool": "send", "with": {"text": "{{ steps.plan.text }}"}, "timeout": "10s"},
]
LOOPED = [
    {"id": "code", "role": "coder", "prompt": "code"},
    {"id": "check", "command": "check", "onFail": {"goto": "code", "max": 2}},
]


def flow(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"roles": {"coder": {"agent": "a", "replicas": 2}}, "steps": steps}


async def _tools() -> Mortal:
    world = await world_of(agent("a"))
    calls = says("", ("look", {}), ("send", {"n": 1}), ("pay", {"n": 2}), ("write", {"path": "f"}))
    world.models.players["m"] = plan(calls, says("", ("mail", {"n": 3}), ("put", {})))
    mortal = Mortal(world)
    mortal.person = lambda ask: {"approval": "approve", "doubt": "run it again"}.get(ask.kind, "x")
    return mortal


async def _family() -> Mortal:
    world = await world_of(agent("a", tools=("delegate:b", "send")), agent("b", tools=("write", "pay")))

    def play(request: Any) -> Any:
        if request.metadata["agent"] == "a":
            both = ("delegate_to_b", {"task": "x"}), ("delegate_to_b", {"task": "y"}), ("send", {})
            return says("", *both) if turns(request) == 0 else says("done")
        task = request.metadata["task"][-1]
        return says("", ("write", {"path": f"f{task}"}), ("pay", {})) if turns(request) == 0 else says("done")

    world.models.players["m"] = play
    return Mortal(world, checked="some")


async def _flow() -> Mortal:
    world = await world_of(agent("a", tools=("write",)), flows={"w": flow(FANNED), "l": flow(LOOPED)})
    world.programs.counts["w/coder"] = 2
    world.models.players["m"] = plan(says("", ("write", {"path": "g"})))
    ran = {"check": 0}

    def shell(line: str, content: dict[str, bytes]) -> int:
        content["out"] = line.encode()
        ran["check"] += 1
        return int(line == "check" and ran["check"] % 3 != 0)

    world.shell = shell
    return Mortal(world)


async def _budget() -> Mortal:
    world = await world_of(agent("a", tools=("look",)))
    world.models.players["m"] = plan(*[says("", ("look", {})) for _ in range(9)])
    mortal = Mortal(world)
    mortal.trouble = 0.4
    return mortal


SCENARIOS: dict[str, tuple[Any, list[TaskSpec]]] = {
    "tools": (_tools, [order("t1", "a")]),
    "family": (_family, [order("t1", "a")]),
    "flow": (_flow, [order("t1", "w", "workflow")]),
    "loop": (_flow, [order("t1", "l", "workflow")]),
    "budget": (_budget, [order("t1", "a", limits=Limits(tokens=12_000))]),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_single_crash_point_of_a_scenario_is_survived(name: str) -> None:
    make, specs = SCENARIOS[name]
    points = fast(survive(make, specs, [])).life.points
    assert points > 20
    for point in range(1, points + 1):
        fast(survive(make, specs, [point]))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("every", [3, 7, 12])
def test_a_host_that_dies_again_and_again_comes_to_an_end(name: str, every: int) -> None:
    make, specs = SCENARIOS[name]
    fast(survive(make, specs, [every + 5 * life for life in range(12)]))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cancel_at_any_commit_ends_the_task_and_everything_below_it(name: str) -> None:
    make, specs = SCENARIOS[name]
    commits = fast(survive(make, specs, [])).commits

    async def cancelled(at: int) -> Mortal:
        mortal = await make()
        mortal.cancels = [(at, "t1")]
        return mortal

    for at in range(1, commits):
        fast(survive(lambda at=at: cancelled(at), specs, [2 * at]))


call = st.sampled_from(["look", "put", "send", "pay", "write", "mail", "delegate_to_b", "nothing", "ask_person"])
turn = st.lists(call, min_size=1, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    main=st.lists(turn, max_size=3),
    helper=st.lists(turn, max_size=2),
    crashes=st.lists(st.integers(1, 60), max_size=5),
    cancel=st.none() | st.integers(1, 40),
    trouble=st.sampled_from([0.0, 0.3]),
    checked=st.sampled_from(["all", "some", "none"]),
    limit=st.none() | st.integers(5_000, 60_000),
    seed=st.integers(0, 1000),
)
def test_random_agents_keep_the_crash_rule_wherever_they_die(
    main: list[list[str]],
    helper: list[list[str]],
    crashes: list[int],
    cancel: int | None,
    trouble: float,
    checked: str,
    limit: int | None,
    seed: int,
) -> None:
    async def make() -> Mortal:
        tools = ("look", "put", "send", "pay", "write", "mail", "ask")
        world = await world_of(agent("a", tools=(*tools, "delegate:b")), agent("b", tools=tools))

        def play(request: Any) -> Any:
            wanted = main if request.metadata["agent"] == "a" else helper
            at = turns(request)
            if at >= len(wanted):
                return says("done")
            return says("", *[(name, {"task": "t", "question": "q"}) for name in wanted[at]])

        world.models.players["m"] = play
        mortal = Mortal(world, seed, checked)
        mortal.trouble = trouble
        mortal.cancels = [(cancel, "t1")] if cancel else []
        return mortal

    spec = order("t1", "a", limits=Limits(tokens=limit) if limit else None)
    fast(survive(make, [spec, order("t2", "b")], crashes))


step = st.fixed_dictionaries(
    {"kind": st.sampled_from(["role", "command", "tool", "foreach"])},
    optional={
        "allowFailure": st.just(True),
        "retry": st.just({"max": 1, "delay": "1s"}),
        "timeout": st.sampled_from(["10ms", "1m"]),
        "needs": st.just([]),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(step, min_size=1, max_size=4),
    back=st.booleans(),
    crashes=st.lists(st.integers(1, 80), max_size=5),
    cancel=st.none() | st.integers(1, 60),
    fails=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
def test_random_workflows_keep_the_crash_rule_wherever_they_die(
    steps: list[dict[str, Any]], back: bool, crashes: list[int], cancel: int | None, fails: int, seed: int
) -> None:
    made = [_step(index, given) for index, given in enumerate(steps)]
    if back and len(made) > 1:
        made[-1]["onFail"] = {"goto": "s0", "max": 1}
        made[-1].pop("needs", None)

    async def make() -> Mortal:
        world = await world_of(agent("a", tools=("write", "send")), flows={"w": flow(made)})
        world.models.players["m"] = plan(says("", ("write", {"path": "p"}), ("send", {})))
        mortal = Mortal(world, seed)
        left = {"fails": fails}

        def shell(line: str, content: dict[str, bytes]) -> int:
            content[line] = b"x"
            left["fails"] -= 1
            return int(left["fails"] >= 0)

        world.shell = lambda line, content: mortal._shell(shell, line, content)  # pyright: ignore[reportPrivateUsage]
        mortal.cancels = [(cancel, "t1")] if cancel else []
        return mortal

    fast(survive(make, [order("t1", "w", "workflow")], crashes))


def _step(index: int, given: dict[str, Any]) -> dict[str, Any]:
    kind = given["kind"]
    rest = {key: value for key, value in given.items() if key != "kind"}
    what: dict[str, Any] = {
        "role": {"role": "coder", "prompt": "p"},
        "foreach": {"role": "coder", "prompt": "p {{ item }}", "foreach": "[1, 2]"},
        "command": {"command": f"c{index}"},
        "tool": {"tool": "send", "with": {"n": index}},
    }[kind]
    return {"id": f"s{index}", **what, **rest}
