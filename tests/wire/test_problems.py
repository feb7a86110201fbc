"""Errors over HTTP: what the host raises is raised again by the client."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core import errors
from agenthost.core.errors import AgentHostError, BadInput, NotFound, Temporary
from agenthost.wire.problems import STATUS, Problem, decode_problem, encode_problem, error_of, problem_of


def every_error(above: type[AgentHostError] = AgentHostError) -> list[type[AgentHostError]]:
    here = [above] if above.__module__ == errors.__name__ else []
    return here + [each for cls in above.__subclasses__() for each in every_error(cls)]


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
def test_every_class_of_error_has_a_status_and_comes_back_as_itself(cls: type[AgentHostError]) -> None:
    assert cls in STATUS
    error = cls("what happened and what to do")
    back = decode_problem(encode_problem(problem_of(error)))
    assert back is not None
    assert type(back) is cls
    assert (back.message, back.code, back.exit_code) == (error.message, error.code, error.exit_code)


def test_no_two_classes_have_one_code() -> None:
    codes = [cls.code for cls in every_error()]
    assert len(set(codes)) == len(codes)


@given(
    st.sampled_from(sorted(STATUS, key=lambda cls: cls.__name__)),
    st.text(),
    st.text(min_size=1),
    st.dictionaries(st.text(), st.none() | st.integers(-(2**53), 2**53) | st.text()),
    st.none() | st.floats(0, 1e6),
    st.booleans(),
)
def test_message_code_details_and_delay_survive(
    cls: type[AgentHostError], message: str, code: str, details: dict[str, Any], delay: float | None, sent: bool
) -> None:
    error = cls(message)
    error.code, error.details = code, details
    if isinstance(error, Temporary):
        error.delay, error.sent = delay, sent
    back = decode_problem(encode_problem(problem_of(error)))
    assert back is not None
    assert (type(back), back.message, back.code, back.details) == (cls, message, code, details)
    if isinstance(error, Temporary):
        assert isinstance(back, Temporary)
        assert (back.delay, back.sent) == (delay, sent)


class Narrow(NotFound):
    """A class that the other side doesn't know."""


def test_a_class_that_isnt_known_comes_back_as_the_nearest_that_is() -> None:
    problem = problem_of(Narrow("not there"))
    assert problem.status == 404
    assert type(error_of(problem)) is NotFound


def test_a_kind_of_a_newer_host_is_an_error_all_the_same() -> None:
    back = error_of(Problem("Odd", 499, "something new", "odd-thing", kind="kind-of-tomorrow", exit_code=2))
    assert type(back) is AgentHostError
    assert (back.message, back.code, back.exit_code) == ("something new", "odd-thing", 2)


def test_problem_details_are_rfc_9457() -> None:
    told = json.loads(encode_problem(problem_of(BadInput("no", file="a.yaml"))))
    assert told == {
        "type": "urn:agenthost:problem:bad-input",
        "title": "Bad input",
        "status": 400,
        "detail": "no",
        "code": "bad-input",
        "kind": "bad-input",
        "exitCode": 2,
        "details": {"file": "a.yaml"},
    }


def test_details_that_json_has_no_form_for_are_told_as_text() -> None:
    back = decode_problem(encode_problem(problem_of(BadInput("no", what=object))))
    assert back is not None
    assert back.details == {"what": str(object)}


@given(st.binary() | st.sampled_from([b"<html>", b"{}", b"null", b'{"title": "x"}', b"[]"]))
def test_what_is_no_problem_is_none(body: bytes) -> None:
    assert decode_problem(body) is None
