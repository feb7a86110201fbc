"""Names of traces and spans: the same for the same task, and what a traceparent may look like."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.traces import parent_of, sampled, span_id, trace_id, traceparent


def test_everything_below_a_task_is_in_its_trace() -> None:
    assert trace_id("t1") == trace_id("t1.step-1.m2") == trace_id("t1/m1/2") == trace_id("t1.a/m1")
    assert trace_id("t1") != trace_id("t2")
    assert span_id("t1") != span_id("t1/m1") != span_id("t1/m1/1")


def test_names_stay_as_they_are_for_ever() -> None:
    """Traces in other systems, and hosts of another version, know them by these."""
    assert (trace_id("1m7yy5azpr9t6mcw"), span_id("1m7yy5azpr9t6mcw")) == (
        "3efd8e6f53ae91e2207e354e1b16ebb7",
        "a4d8ba99d49eeea3",
    )


@given(st.text(min_size=1, max_size=40))
def test_a_traceparent_of_ours_can_be_read(key: str) -> None:
    header = traceparent(key)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)
    assert parent_of(header) == (trace_id(key), span_id(key), True)
    assert traceparent(key, 0.0).endswith("-00")


def test_a_share_of_traces_is_about_that_share() -> None:
    kept = sum(sampled(trace_id(str(number)), 0.25) for number in range(4000))
    assert 800 < kept < 1200
    assert all(sampled(trace_id(str(number)), 1.0) for number in range(100))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    ],
)
def test_what_is_no_traceparent_is_passed_over(header: str) -> None:
    assert parent_of(header) is None


def test_a_later_version_may_say_more() -> None:
    found = parent_of("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more")
    assert found == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", False)
