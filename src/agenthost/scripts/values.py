"""What may go between the host and a script: JSON values. Everything else is refused by name."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from agenthost.core.errors import Permanent

_DEPTH = 100


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """`value` as a JSON value: tuples and sets become lists (a set's in a fixed order).

    Raises Permanent (`script-error`) for what JSON can't say; `where` names it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if depth > _DEPTH:
        raise _refused(where, "is nested too deeply, or holds itself")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refused(where, f"is {value}, which JSON can't say; use null or a number")
        return value
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(items)]
    if isinstance(value, set | frozenset):
        members = [plain(item, where, depth + 1) for item in cast("set[Any]", value)]
        return sorted(members, key=lambda member: json.dumps(member, sort_keys=True))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        for key in pairs:
            if not isinstance(key, str):
                raise _refused(where, f"has the key {key!r}, and keys must be text; use str(...)")
        return {key: plain(inner, f"{where}.{key}", depth + 1) for key, inner in pairs.items()}
    kind = cast("type[object]", type(value)).__name__
    hints = {"bytes": "text, with .decode()", "datetime": "its .isoformat()", "date": "its .isoformat()"}
    hint = hints.get(kind, "text, a number, true, false, null, a list or an object")
    raise _refused(where, f"is a {kind}, which can't leave a script; give {hint}")


def _refused(where: str, why: str) -> Permanent:
    return Permanent(f"{where} {why}", code="script-error")
