"""Vectors of what tasks are about, in the SQLite store's own file."""

import heapq
import sqlite3
from collections.abc import Mapping, Sequence

from agenthost.core.meanings import Meant, apart, cosine, signs
from agenthost.stores.sqlite.statements import Statements

LOOSE = 8
"""So many times as many tasks as are wanted are taken by the signs of their vectors, and those compared number by number."""


def kept(connection: sqlite3.Connection, statements: Statements, model: str, tasks: Sequence[str]) -> dict[str, Meant]:
    """What is kept of tasks."""
    found: dict[str, Meant] = {}
    for task in tasks:
        if row := connection.execute(statements["meaning"], (task, model)).fetchone():
            found[task] = Meant(*row)
    return found


def keep(connection: sqlite3.Connection, statements: Statements, model: str, found: Mapping[str, Meant]) -> None:
    """Keep what tasks are about in the place of what was kept; of a task that is no topic (any more), nothing."""
    rows = [(task, model, one.text, signs(one.vector), one.vector) for task, one in found.items()]
    connection.executemany(statements["put_meaning"], rows)


def nearest(
    connection: sqlite3.Connection, statements: Statements, number: int, model: str, vector: bytes, limit: int
) -> dict[str, float]:
    """The tasks of a conversation that are nearest, and how near."""
    own = signs(vector)
    rows = connection.execute(statements["meanings_of"], (number, model))
    some = heapq.nsmallest(LOOSE * limit, ((apart(own, bits), task) for task, bits in rows if len(bits) == len(own)))
    likely = kept(connection, statements, model, [task for _, task in some])
    near = {task: cosine(vector, one.vector) for task, one in likely.items() if len(one.vector) == len(vector)}
    return dict(sorted(near.items(), key=lambda one: (-one[1], one[0]))[:limit])
