"""When a schedule comes due: cron, time zones, moments. Cron itself is cronsim's, which goes by Debian's cron.

At a change of the clocks: a time of day that doesn't exist comes right after the gap, one that comes twice comes the first
time only. What goes by the clock's hand (a `*` in front of minute or hour) goes by real time: it comes neither in a gap
nor less often in the hour that comes twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError
from msgspec import Struct

from agenthost.core.errors import BadInput, nearest
from agenthost.core.manifests.schedule import ScheduleSpec

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The words that stand for five fields (crontab(5)). `@reboot` is none of them: it is no time."""

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (the last) or LW (the last weekday)",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat (0 and 7 are Sunday), 5L (the last Friday) or 5#2 (the second)",
}


_STEADY = 7 * 86_400.0
"""Seconds in which no zone changes its clocks twice; of those today the shortest time between two changes is that of Morocco, a month."""


class Timing(Struct, frozen=True):
    """When something is due. `cron` has five fields, or is empty for what is due once, `at`. `until`: not after that.
    Moments in seconds since the epoch."""

    cron: str
    zone: ZoneInfo
    at: float = 0.0
    until: float = float("inf")

    def after(self, moment: float) -> Iterator[float]:
        """Every time at which it is due, strictly after a moment, in order."""
        if not self.cron:
            if moment < self.at:
                yield self.at
            return
        for due in _cron(self.cron, self.zone, moment):
            if due > self.until:
                return
            yield due

    def first(self, moment: float) -> float | None:
        """The first time strictly after a moment; None where there is none any more."""
        return next(self.after(moment), None)


def timing(spec: ScheduleSpec) -> Timing:
    """When a schedule is due. Raises BadInput, as the readers below do."""
    zone = read_zone(spec.timezone)
    until = read_moment(spec.until, zone) if spec.until else float("inf")
    if spec.at:
        return Timing("", zone, read_moment(spec.at, zone), until)
    return Timing(read_cron(spec.cron), zone, 0.0, until)


def _cron(cron: str, zone: ZoneInfo, moment: float) -> Iterator[float]:
    minute, hour, *_ = cron.split(" ")
    by_the_hand = minute.startswith("*") or hour.startswith("*")
    try:
        yield from _by_the_hand(cron, zone, moment) if by_the_hand else _by_the_day(cron, zone, moment)
    except (OverflowError, ValueError):
        return  # the calendar ends with the year 9999


def _by_the_day(cron: str, zone: ZoneInfo, moment: float) -> Iterator[float]:
    # From a second before, so that a moment with a fraction passes over nothing.
    for found in CronSim(cron, datetime.fromtimestamp(int(moment) - 1, zone)):
        due = found.timestamp()
        # In the hour that comes twice cronsim may give its first pass again.
        if due > moment:
            yield due


def _by_the_hand(cron: str, zone: ZoneInfo, moment: float) -> Iterator[float]:
    """Real time, from one change of the clocks to the next: cronsim steps by whole hours, and passes over the half hour by
    which some zones change."""
    last = moment
    change: float | None = int(moment)
    while change is not None:
        offset = timezone(_offset(zone, change))
        start, change = change, None
        for found in CronSim(cron, datetime.fromtimestamp(start - 1, offset)):
            due = found.timestamp()
            if (change := _change(zone, max(start, last), due)) is not None:
                break
            if due > last:
                last = due
                yield due


def _offset(zone: ZoneInfo, moment: float) -> timedelta:
    return datetime.fromtimestamp(moment, zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, start: float, end: float) -> float | None:
    """The first whole second after `start`, up to `end`, at which the clocks show another offset; None where there is none."""
    before, low = _offset(zone, start), start
    while low < end:
        high = min(end, low + _STEADY)
        if _offset(zone, high) != before:
            low, high = int(low), int(high)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            return high
        low = high
    return None


# --- what people write ---


def read_cron(text: str) -> str:
    """Five fields as cronsim reads them. Raises BadInput saying which field is wrong, or that it never comes."""
    folded = " ".join(text.split())
    if folded.startswith("@"):
        found = MACROS.get(folded.lower())
        if found is None:
            hint = "it is no time; say when" if folded.lower() == "@reboot" else nearest(folded.lower(), list(MACROS))
            raise BadInput(f"there is no '{folded[:40]}' in cron: {hint}")
        return found
    fields = folded.split(" ")
    if len(fields) != 5:
        raise BadInput(
            f"cron has five fields (minute, hour, day of the month, month, day of the week), such as '0 9 * * mon-fri', and "
            f"'{folded[:60]}' has {len(fields) if folded else 0}"
        )
    try:
        begun = CronSim(folded, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise BadInput(_wrong(fields, str(error).removeprefix("Bad "))) from None
    if next(begun, None) is None:
        raise BadInput(f"'{folded}' never comes; the next fifty years have no such day")
    return folded


def _wrong(fields: list[str], name: str) -> str:
    names = list(_FIELDS)
    field = fields[names.index(name)] if name in names else ""
    if name == "day-of-month" and re.fullmatch(r"[\d,/-]+", field) and all(_is_day(each) for each in field.split(",")):
        return f"'{' '.join(fields)}' never comes: month {fields[3]} has no day {field}"
    told = f"the {name.replace('-', ' ')} '{field[:40]}' can't be read: it is {_FIELDS.get(name, '')}, *, a list (1,5), a range "
    told += "from low to high (1-5) or a step (*/5)"
    return told + ("; say L for the last day, and leave '?' out" if "?" in field else "")


def _is_day(text: str) -> bool:
    return all(1 <= int(each) <= 31 for each in re.findall(r"\d+", text.partition("/")[0]))


def read_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; of one that wasn't asked for before, files are read. Raises BadInput with the nearest
    names."""
    try:
        return _loaded(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        folded = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
        last = name.replace(" ", "_").rpartition("/")[2].lower()
        close = [folded[each] for each in get_close_matches(last, folded, n=3)]
        close += [each for each in get_close_matches(name, sorted(known), n=3) if each not in close]
        hint = f"did you mean {', '.join(close[:3])}?" if close else "give an IANA name such as Europe/Athens, or UTC"
        raise BadInput(f"there is no time zone '{name[:60]}'; {hint}") from None


def here(name: str) -> ZoneInfo:
    """A machine's own time zone, by the name that it says; UTC where it says none that is known."""
    try:
        return read_zone(name)
    except BadInput:
        return read_zone("UTC")


@lru_cache(maxsize=1024)
def _loaded(name: str) -> ZoneInfo:
    # zoneinfo itself keeps the last eight alone.
    return ZoneInfo(name)


def read_moment(text: str, zone: ZoneInfo) -> float:
    """A date and time as seconds since the epoch: by its own offset, else in the zone. Raises BadInput, also for a time of
    day that the zone leaves out."""
    try:
        found = datetime.fromisoformat(text.strip())
        moment = (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()
        after = datetime.fromtimestamp(moment, zone)
    except (ValueError, OverflowError):
        raise BadInput(
            f"'{text[:60]}' is no date and time; give one such as 2026-12-24T18:00, or with its offset: 2026-12-24T18:00+02:00"
        ) from None
    if found.tzinfo is None and after.replace(fold=0, tzinfo=None) != found.replace(fold=0):
        raise BadInput(
            f"the clocks of {zone.key} leave {found:%Y-%m-%d %H:%M} out, they go forward there; say {after:%H:%M} or earlier"
        )
    return moment


def read_when(text: str, zone: ZoneInfo, now: float) -> float:
    """A moment as people say it: a date and time, `18:00` (the next time it is), `tomorrow 09:00`. Raises BadInput."""
    match = re.fullmatch(r"(?:(today|tomorrow)\s+)?(?:at\s+)?(\d{1,2}):(\d{2})", text.strip().lower())
    if match is None:
        return read_moment(text, zone)
    day = datetime.fromtimestamp(now, zone).date() + timedelta(days=match[1] == "tomorrow")
    moment = read_moment(f"{day.isoformat()}T{int(match[2]):02}:{match[3]}", zone)
    if moment <= now and not match[1]:
        return read_moment(f"{(day + timedelta(days=1)).isoformat()}T{int(match[2]):02}:{match[3]}", zone)
    return moment


def shown(moment: float, zone: ZoneInfo) -> str:
    """A moment as a manifest's `at` has it."""
    return datetime.fromtimestamp(moment, zone).isoformat(timespec="seconds")
