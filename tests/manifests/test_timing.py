"""When a schedule is due: fields, names, leap days, days that never come, and the changes of the clocks."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput
from agenthost.core.manifests.schedule import ScheduleSpec
from agenthost.manifests.timing import Timing, read_cron, read_moment, read_when, read_zone, shown, timing

ATHENS = "Europe/Athens"


def times(cron: str, zone: str, start: str, count: int) -> list[str]:
    where = read_zone(zone)
    due = Timing(read_cron(cron), where).after(read_moment(start, where))
    return [shown(moment, where) for moment in islice(due, count)]


@pytest.mark.parametrize(
    ("cron", "found"),
    [
        ("0 9 * * mon-fri", ["2026-01-02T09:00:00+02:00", "2026-01-05T09:00:00+02:00"]),
        ("0 9 * jan,MAR 1", ["2026-01-05T09:00:00+02:00", "2026-01-12T09:00:00+02:00"]),
        ("*/20 8-10/2 * * *", ["2026-01-02T08:00:00+02:00", "2026-01-02T08:20:00+02:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00+02:00", "2032-02-29T00:00:00+02:00"]),
        ("0 0 31 * *", ["2026-01-31T00:00:00+02:00", "2026-03-31T00:00:00+03:00"]),
        ("0 0 L * *", ["2026-01-31T00:00:00+02:00", "2026-02-28T00:00:00+02:00"]),
        ("0 0 13 * fri", ["2026-01-02T00:00:00+02:00", "2026-01-09T00:00:00+02:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00:00+02:00", "2026-01-11T00:00:00+02:00"]),
        ("0 12 * * 5#2", ["2026-01-09T12:00:00+02:00", "2026-02-13T12:00:00+02:00"]),
        ("@daily", ["2026-01-02T00:00:00+02:00", "2026-01-03T00:00:00+02:00"]),
        (" @Yearly ", ["2027-01-01T00:00:00+02:00", "2028-01-01T00:00:00+02:00"]),
        ("@hourly", ["2026-01-01T13:00:00+02:00", "2026-01-01T14:00:00+02:00"]),
    ],
)
def test_a_cron_comes_when_it_says(cron: str, found: list[str]) -> None:
    assert times(cron, ATHENS, "2026-01-01T12:00", 2) == found


@pytest.mark.parametrize(
    ("cron", "zone", "start", "found"),
    [
        # A time of day in the gap comes right after it, and the next day as ever.
        ("30 3 * * *", ATHENS, "2026-03-28T12:00", ["2026-03-29T04:00:00+03:00", "2026-03-30T03:30:00+03:00"]),
        # Several of them come once.
        ("0,30 3 * * *", ATHENS, "2026-03-28T12:00", ["2026-03-29T04:00:00+03:00", "2026-03-30T03:00:00+03:00"]),
        # One that comes twice comes the first time, also for who looks in between or after it.
        ("30 3 * * *", ATHENS, "2026-10-24T12:00", ["2026-10-25T03:30:00+03:00", "2026-10-26T03:30:00+02:00"]),
        ("30 3 * * *", ATHENS, "2026-10-25T03:45:00+03:00", ["2026-10-26T03:30:00+02:00"]),
        ("30 3 * * *", ATHENS, "2026-10-25T03:15:00+02:00", ["2026-10-26T03:30:00+02:00"]),
        # What goes by the clock's hand goes by real time.
        ("*/30 3 * * *", ATHENS, "2026-03-28T12:00", ["2026-03-30T03:00:00+03:00"]),
        (
            "*/30 * * * *",
            ATHENS,
            "2026-10-25T03:15:00+03:00",
            ["2026-10-25T03:30:00+03:00", "2026-10-25T03:00:00+02:00", "2026-10-25T03:30:00+02:00"],
        ),
        # Half an hour, a midnight that doesn't exist, a day that doesn't.
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["2026-04-05T01:45:00+11:00"]),
        (
            "*/15 2 * * *",  # and the half hour after the change isn't passed over
            "Australia/Lord_Howe",
            "2026-04-05T00:10",
            ["2026-04-05T02:00:00+10:30", "2026-04-05T02:15:00+10:30"],
        ),
        ("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00", ["2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"]),
        ("*/5 0 * * *", "Asia/Beirut", "2026-03-28T12:00", ["2026-03-30T00:00:00+03:00"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T13:00", ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]),
    ],
)
def test_at_a_change_of_the_clocks(cron: str, zone: str, start: str, found: list[str]) -> None:
    assert times(cron, zone, start, len(found)) == found


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 0 30 2 *", "never comes: month 2 has no day 30"),
        ("0 0 31 4,6 *", "never comes: month 4,6 has no day 31"),
        ("0 25 * * *", "the hour '25' can't be read: it is 0-23"),
        ("x * * * *", "the minute 'x'"),
        ("0 0 * foo *", "the month 'foo'.*jan-dec"),
        ("0 0 * * sat-sun", "the day of week 'sat-sun'.*from low to high"),
        ("0 0 ? * *", "leave '\\?' out"),
        ("0 0 * * */0", "the day of week"),
        ("0 9 * *", "has five fields.* has 4"),
        ("0 0 9 * * *", "has 6"),
        ("", "has 0"),
        ("@dayly", "Did you mean '@daily'"),
        ("@reboot", "it is no time"),
    ],
)
def test_a_cron_that_cant_be_says_which_field_and_what_it_is(cron: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_cron(cron)


@given(st.text("0123456789*/,-#LWlw@?monjafebсу٣² \t", max_size=24))
def test_any_text_is_read_or_refused_and_what_is_read_comes(text: str) -> None:
    try:
        cron = read_cron(text)
    except BadInput:
        return
    assert Timing(cron, read_zone("UTC")).first(0.0) is not None


def test_a_zone_that_isnt_there_is_told_with_the_nearest() -> None:
    for name, near in (("Athens", ATHENS), ("Europe/Atens", ATHENS), ("new york", "America/New_York")):
        with pytest.raises(BadInput, match=f"there is no time zone '{name}'; did you mean .*{near}"):
            read_zone(name)
    for name in ("", "../zone", "a\0b", "/etc/localtime"):
        with pytest.raises(BadInput, match="there is no time zone"):
            read_zone(name)


def test_a_moment_is_read_by_its_offset_or_in_the_zone() -> None:
    zone = read_zone(ATHENS)
    assert shown(read_moment("2026-12-24T18:00", zone), zone) == "2026-12-24T18:00:00+02:00"
    assert shown(read_moment("2026-12-24 18:00:05Z", zone), zone) == "2026-12-24T20:00:05+02:00"
    assert shown(read_moment("2026-10-25T03:30", zone), zone) == "2026-10-25T03:30:00+03:00"  # the first of two
    with pytest.raises(BadInput, match="leave 2026-03-29 03:30 out, they go forward there; say 04:30"):
        read_moment("2026-03-29T03:30", zone)
    for text in ("soon", "2026-13-01", "0001-01-01T00:00", "2026-12-24T25:00", ""):
        with pytest.raises(BadInput, match="is no date and time; give one such as"):
            read_moment(text, zone)


def test_a_time_of_day_is_the_next_one_and_tomorrow_is_tomorrow() -> None:
    zone = read_zone(ATHENS)
    now = read_moment("2026-03-28T12:00", zone)
    for text, found in (
        ("18:00", "2026-03-28T18:00:00+02:00"),
        ("9:30", "2026-03-29T09:30:00+03:00"),
        ("today 09:00", "2026-03-28T09:00:00+02:00"),
        ("tomorrow at 12:01", "2026-03-29T12:01:00+03:00"),
        ("2027-01-01", "2027-01-01T00:00:00+02:00"),
    ):
        assert shown(read_when(text, zone, now), zone) == found


def test_until_is_the_last_moment_and_once_is_once() -> None:
    run = {"agent": "a", "text": "x"}
    spec = ScheduleSpec.model_validate({"cron": "@daily", "until": "2026-01-03", "run": run})
    assert [
        shown(each, read_zone("UTC")) for each in timing(spec).after(read_moment("2026-01-01", read_zone("UTC")))
    ] == [
        "2026-01-02T00:00:00+00:00",
        "2026-01-03T00:00:00+00:00",
    ]
    once = timing(ScheduleSpec.model_validate({"at": "1970-01-01T01:00Z", "run": run}))
    assert (once.first(0.0), once.first(3599.5), once.first(3600.0)) == (3600.0, 3600.0, None)


# --- against a count of minutes ---

ZONES = (
    ATHENS,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Santiago",
    "Africa/Casablanca",
    "UTC",
)
CHANGES = (
    "2026-03-29",
    "2026-10-25",
    "2026-03-08",
    "2026-11-01",
    "2026-04-05",
    "2026-10-04",
    "2026-09-06",
    "2026-02-15",
)


@st.composite
def field(draw: st.DrawFn, most: int) -> tuple[str, frozenset[int]]:
    """A field as it is written, and what it means."""
    how = draw(st.sampled_from(("*", "list", "range", "step")))
    if how == "*":
        return "*", frozenset(range(most + 1))
    if how == "step":
        step = draw(st.integers(1, most))
        return f"*/{step}", frozenset(range(0, most + 1, step))
    if how == "range":
        low, high = sorted((draw(st.integers(0, most)), draw(st.integers(0, most))))
        return f"{low}-{high}", frozenset(range(low, high + 1))
    chosen = draw(st.frozensets(st.integers(0, most), min_size=1, max_size=3))
    return ",".join(map(str, sorted(chosen))), chosen


def counted(
    minutes: tuple[str, frozenset[int]], hours: tuple[str, frozenset[int]], zone: ZoneInfo, first: float, last: float
) -> list[float]:
    """The times at which it is due, looked for minute by minute."""

    def fits(local: datetime) -> bool:
        return local.minute in minutes[1] and local.hour in hours[1]

    if minutes[0].startswith("*") or hours[0].startswith("*"):
        every = (first + 60.0 * n for n in range(1, int((last - first) / 60) + 1))
        return [moment for moment in every if fits(datetime.fromtimestamp(moment, zone))]
    found: set[float] = set()
    local = datetime.fromtimestamp(first, zone).replace(tzinfo=None, fold=0) - timedelta(days=1)
    while local < datetime.fromtimestamp(last, zone).replace(tzinfo=None):
        local += timedelta(minutes=1)
        if fits(local):
            real = local
            while real.replace(tzinfo=zone) != real.replace(tzinfo=zone).astimezone(UTC).astimezone(zone):
                real += timedelta(minutes=1)
            found.add(real.replace(tzinfo=zone).timestamp())
    return sorted(moment for moment in found if first < moment <= last)


@settings(max_examples=60, deadline=None)
@given(field(59), field(23), st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(0, 47), st.integers(0, 59))
def test_around_every_change_of_the_clocks_it_is_due_as_a_count_of_minutes_says(
    minutes: tuple[str, frozenset[int]], hours: tuple[str, frozenset[int]], zone: str, day: str, hour: int, minute: int
) -> None:
    where = read_zone(zone)
    first = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + (hour - 24) * 3600 + minute * 60
    last = first + 40 * 3600
    due = Timing(read_cron(f"{minutes[0]} {hours[0]} * * *"), where).after(first)
    assert list(takewhile(lambda moment: moment <= last, due)) == counted(minutes, hours, where, first, last)
    # And whoever begins at one of them goes on with the next.
    for moment in counted(minutes, hours, where, first, last)[:3]:
        rest = Timing(read_cron(f"{minutes[0]} {hours[0]} * * *"), where).after(moment)
        assert list(takewhile(lambda each: each <= last, rest)) == counted(minutes, hours, where, moment, last)
