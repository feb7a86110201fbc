"""Errors: their code, exit code and journalled form, and the hint at the nearest name."""

import pytest

from agenthost.core import errors
from agenthost.core.errors import AgentHostError, Failure, Permanent, Temporary, nearest


def test_the_nearest_name_is_hinted_at_or_what_is_known() -> None:
    assert nearest("coedr", ["coder", "checker"]) == "Did you mean 'coder'?"
    assert nearest("zzz", ("b", "a")) == "Known: a, b."
    assert nearest("zzz", [f"n{i:02}" for i in range(20)]) == "Known: " + ", ".join(f"n{i:02}" for i in range(12)) + "."
    assert nearest("x", []) == "None is defined yet."


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [
        ("AgentHostError", "error", 1),
        ("BadInput", "bad-input", 2),
        ("NotFound", "not-found", 2),
        ("Unavailable", "unavailable", 2),
        ("HostUnreachable", "host-unreachable", 3),
        ("HomeBusy", "home-busy", 2),
        ("StoreDamaged", "store-damaged", 2),
        ("NewerVersion", "newer-version", 2),
        ("LostLease", "lost-lease", 1),
        ("BudgetRefused", "budget", 1),
    ],
)
def test_every_error_has_a_stable_code_and_an_honest_exit_code(name: str, code: str, exit_code: int) -> None:
    error = getattr(errors, name)("what to do", file="a")
    assert isinstance(error, AgentHostError)
    assert (error.code, error.exit_code, error.message, str(error)) == (code, exit_code, "what to do", "what to do")
    assert error.failure() == Failure(code, "what to do", details={"file": "a"})


def test_temporary_and_permanent_say_how_they_go_on() -> None:
    later = Temporary("busy", code="rate-limit", delay=2.5, sent=True, status=429)
    assert later.failure() == Failure("rate-limit", "busy", True, 2.5, {"status": 429})
    assert (later.sent, Temporary("x").sent, Temporary("x").code, Temporary("x").delay) == (
        True,
        False,
        "temporary",
        None,
    )
    assert Permanent("no", code="auth", status=401).failure() == Failure("auth", "no", False, None, {"status": 401})
    assert Permanent("no").code == "permanent"
