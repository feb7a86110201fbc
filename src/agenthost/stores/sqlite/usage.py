"""The statement that adds usage up: of whole days out of the sums that the ledger's trigger keeps (see the migration), of
what isn't settled, of hours before and after them, and of single tasks out of the ledger itself."""

from typing import Any

from agenthost.core.keeping import DIMENSIONS, UsageFilter
from agenthost.stores.rules import DAY, FAR, NANO, whole_days

_COLUMNS = {
    "task": "root",
    "agent": "agent",
    "person": "person",
    "model": "model",
    "day": f"date(day * {DAY}, 'unixepoch')",
}
_SUMS = (
    "coalesce(sum(calls), 0), coalesce(sum(tokens), 0) AS tokens, "
    f"coalesce(sum(cost), 0) / {NANO}.0 AS cost, coalesce(sum(open), 0), coalesce(sum(unpriced), 0)"
)
_DAYS = """SELECT '' AS root, day, person, agent, model, calls, tokens, cost, open, unpriced FROM usage
WHERE namespace = ? AND day >= ? AND day < ?"""
_ATTEMPTS = f"""SELECT root, CAST(at / {DAY} AS INTEGER) AS day, person, agent, model, 1 AS calls,
  coalesce(spent_tokens, worst_tokens) AS tokens,
  CAST(ROUND(coalesce(spent_cost, worst_cost) * {NANO}) AS INTEGER) AS cost, settled = 0 AS open, priced = 0 AS unpriced
FROM ledger WHERE namespace = ?"""
_BETWEEN = " AND at >= ? AND at < ?"

_Piece = tuple[str, list[Any]]
"""A part of the statement, and its values."""


def adding_up(wanted: UsageFilter) -> _Piece:
    """The statement that adds usage up, and its values."""
    since, until = wanted.since, wanted.until or FAR
    if wanted.task:
        pieces = [(f"{_ATTEMPTS} AND root = ?{_BETWEEN}", [wanted.namespace, wanted.task, since, until])]
    elif "task" in wanted.by:
        pieces = [(f"{_ATTEMPTS}{_BETWEEN}", [wanted.namespace, since, until])]
    else:
        pieces = _days(wanted.namespace, since, until)
    who, names = _who(wanted)
    source = " UNION ALL ".join(piece + who for piece, _ in pieces)
    values = [value for _, given in pieces for value in (*given, *names)]
    columns = ", ".join(_COLUMNS[name] if name in wanted.by else "''" for name in DIMENSIONS)
    groups = ", ".join(_COLUMNS[name] for name in wanted.by)
    return (
        f"SELECT {_SUMS}, {columns} FROM ({source}) {f'GROUP BY {groups}' if groups else ''} "
        f"ORDER BY cost DESC, tokens DESC, {', '.join(str(5 + n) for n in range(1, 6))} LIMIT ?"
    ), [*values, wanted.limit]


def _who(wanted: UsageFilter) -> _Piece:
    given = {name: getattr(wanted, name) for name in ("agent", "person", "model")}
    named = {name: value for name, value in given.items() if value}
    return "".join(f" AND {name} = ?" for name in named), [*named.values()]


def _days(namespace: str, since: float, until: float) -> list[_Piece]:
    """Whole days, what isn't settled, and what was in the hours that no whole day holds."""
    first, last = whole_days(since, until)
    found: list[_Piece] = [
        (_DAYS, [namespace, first, last]),
        (f"{_ATTEMPTS} AND settled = 0{_BETWEEN}", [namespace, since, until]),
    ]
    hours = [(since, min(first * DAY, until)), (max(last * DAY, since), until)] if first <= last else [(since, until)]
    for start, end in hours:
        if start < end:
            found.append((f"{_ATTEMPTS} AND settled > 0{_BETWEEN}", [namespace, start, end]))
    return found
