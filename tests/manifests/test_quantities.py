import pytest

from agenthost.core.manifests.common import Budget, SandboxSpec


@pytest.mark.parametrize(
    ("written", "bytes"),
    [("512Mi", 2**29), ("1Gi", 2**30), ("1.5Gi", 3 * 2**29), ("20M", 20_000_000), ("3k", 3000), ("7", 7), (9, 9)],
)
def test_a_size_is_bytes(written: object, bytes: int) -> None:
    assert SandboxSpec.model_validate({"memory": written}).memory == bytes


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("60s", 60), ("500ms", 0.5), ("1h30m", 5400), ("2d", 172_800), ("45", 45), ("1.5", 1.5), (30, 30), (0.5, 0.5)],
)
def test_a_duration_is_seconds(written: object, seconds: float) -> None:
    assert SandboxSpec.model_validate({"timeout": written}).timeout == seconds


@pytest.mark.parametrize(
    ("written", "count"), [("200k", 200_000), ("1.5M", 1_500_000), ("30", 30), (7, 7), ("1.001k", 1001)]
)
def test_a_count_is_whole(written: object, count: int) -> None:
    assert Budget.model_validate({"tokens": written}).tokens == count


@pytest.mark.parametrize(("written", "usd"), [("2.00 USD", 2.0), ("2", 2.0), ("0.5USD", 0.5), (3, 3.0)])
def test_money_is_dollars(written: object, usd: float) -> None:
    assert Budget.model_validate({"cost": written}).cost == usd


@pytest.mark.parametrize("written", ["512Mb", "-1", "", "Mi", "1 Gi", "1e3", "0", 0, -5, None, [1]])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="size|greater than 0|valid integer"):
        SandboxSpec.model_validate({"memory": written})


@pytest.mark.parametrize("written", ["1 hour", "5x", "s", "1m 30s", "-5s", "0s", 0, None])
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="duration|greater than 0|valid number"):
        SandboxSpec.model_validate({"timeout": written})


def test_specs_give_the_words_of_the_core() -> None:
    limits = Budget.model_validate({"turns": 3, "tokens": "1k", "cost": "1 USD", "duration": "1m"}).limits()
    assert limits == type(limits)(3, 1000, 1.0, 60.0)
    policy = SandboxSpec.model_validate({"memory": "1Gi", "packages": ["pytest"]}).policy()
    assert (policy.memory, policy.packages, policy.hosts) == (2**30, ("pytest",), ())
