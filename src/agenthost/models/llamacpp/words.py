"""Words of a child, as they may be shown."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_LONGEST = 300


def clean(text: str) -> str:
    """One line without control characters, and not endless."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
