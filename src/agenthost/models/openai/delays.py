"""How long a provider asks us to wait, from the headers of its refusal. All in seconds."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0  # a longer wait is taken as a mistake of the server's and cut to a day

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")


def delay_of(headers: Mapping[str, str], now: float) -> float | None:
    """The wait asked for: `retry-after-ms`, Retry-After (RFC 9110, 10.2.3: seconds or a date), else OpenAI's
    `x-ratelimit-reset-*` of whatever has run out. None where nothing is said. `now`: seconds since the epoch."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    asked = headers.get("retry-after")
    if asked is not None:
        seconds = _number(asked)
        if seconds is None:
            seconds = _until(asked, now)
        if seconds is not None:
            return _bounded(seconds)
    return _reset(headers)


def _reset(headers: Mapping[str, str]) -> float | None:
    resets: list[float] = []
    for what in ("requests", "tokens"):
        left = headers.get(f"x-ratelimit-remaining-{what}")
        span = _span(headers.get(f"x-ratelimit-reset-{what}", ""))
        if span is not None and (left is None or left.strip() == "0"):
            resets.append(span)
    return _bounded(max(resets)) if resets else None


def _span(text: str) -> float | None:
    """`6m0s`, `1h2m3.5s`, `20ms`, or plain seconds."""
    text = text.strip()
    plain = _number(text)
    if plain is not None:
        return plain
    found = _SPAN.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST)
