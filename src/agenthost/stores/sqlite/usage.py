"""The statements that add usage up: of whole days out of sums that triggers of the ledger keep (see the migration), of
anything else out of the ledger itself."""

from typing import Any

from agenthost.core.keeping import DIMENSIONS, UsageFilter
from agenthost.stores.rules import NANO

_DAY = 86_400
_END = 10**9
_COLUMNS = {"task": "root", "agent": "agent", "person": "person", "model": "model", "day": "date(at, 'unixepoch')"}
_SUMS = (
    "count(*), coalesce(sum(coalesce(spent_tokens, worst_tokens)), 0) AS tokens, "
    "coalesce(sum(coalesce(spent_cost, worst_cost)), 0.0) AS cost, coalesce(sum(settled = 0), 0), coalesce(sum(priced = 0), 0)"
)
_SUMS_OF_DAYS = (
    "coalesce(sum(calls + open_calls), 0), coalesce(sum(tokens + open_tokens), 0) AS tokens, "
    f"coalesce(sum(cost + open_cost), 0) / {NANO}.0 AS cost, coalesce(sum(open_calls), 0), coalesce(sum(unpriced), 0)"
)


def adding_up(wanted: UsageFilter) -> tuple[str, list[Any]]:
    """The statement that adds usage up, and its values."""
    whole = wanted.since % _DAY == 0 and wanted.until % _DAY == 0
    by_day = whole and not wanted.task and "task" not in wanted.by
    source, values = _days(wanted) if by_day else _attempts(wanted)
    known = _COLUMNS | ({"day": f"date(day * {_DAY}, 'unixepoch')"} if by_day else {})
    columns = ", ".join(known[name] if name in wanted.by else "''" for name in DIMENSIONS)
    groups = ", ".join(known[name] for name in wanted.by)
    return (
        f"SELECT {_SUMS_OF_DAYS if by_day else _SUMS}, {columns} FROM {source} "
        f"{f'GROUP BY {groups}' if groups else ''} "
        f"ORDER BY cost DESC, tokens DESC, {', '.join(str(5 + n) for n in range(1, 6))} LIMIT ?"
    ), [*values, wanted.limit]


def _who(wanted: UsageFilter) -> tuple[str, list[str]]:
    given = {name: getattr(wanted, name) for name in ("agent", "person", "model")}
    named = {name: value for name, value in given.items() if value}
    return "".join(f" AND {name} = ?" for name in named), [*named.values()]


def _attempts(wanted: UsageFilter) -> tuple[str, list[Any]]:
    who, values = _who(wanted)
    given: dict[str, Any] = {"root = ?": wanted.task, "at >= ?": wanted.since, "at < ?": wanted.until}
    conditions = {condition: value for condition, value in given.items() if value}
    where = "".join(f" AND {condition}" for condition in conditions)
    return f"ledger WHERE namespace = ?{who}{where}", [wanted.namespace, *values, *conditions.values()]


def _days(wanted: UsageFilter) -> tuple[str, list[Any]]:
    """What is settled by day, and what isn't from the ledger, by an index of its own."""
    who, values = _who(wanted)
    until = wanted.until or _END * _DAY
    source = f"""(
        SELECT day, person, agent, model, calls, tokens, cost, unpriced, open_calls, open_tokens, open_cost FROM usage
        WHERE namespace = ? AND day >= ? AND day < ?{who}
        UNION ALL
        SELECT CAST(at / {_DAY} AS INTEGER), person, agent, model, 0, 0, 0, priced = 0, 1, worst_tokens,
          CAST(ROUND(worst_cost * {NANO}) AS INTEGER)
        FROM ledger WHERE settled = 0 AND namespace = ? AND at >= ? AND at < ?{who}
    )"""
    of_days = [wanted.namespace, wanted.since // _DAY, until // _DAY, *values]
    return source, [*of_days, wanted.namespace, wanted.since, until, *values]
