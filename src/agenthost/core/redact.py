"""Takes known secrets out of texts, bytes and JSON values before they are journalled, logged or shown. Pure.

A secret is found as it is, as JSON and URLs escape it, and in base 64 when it was encoded alone.
A secret that is cut in two by a stream is found only once the pieces are joined.
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

SHORTEST = 6
"""Characters below which a value is not looked for: it would take ordinary words out of every text."""


def _forms(value: str) -> set[str]:
    encoded = value.encode("utf-8", "surrogatepass")
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        urllib.parse.quote(encoded, safe=""),
        urllib.parse.quote_plus(encoded),
        base64.b64encode(encoded).decode(),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
    }


def _length(form: bytes) -> int:
    """Bytes of the text that a piece of JSON stands for."""
    try:
        return len(json.loads(b'"' + form + b'"').encode("utf-8", "surrogatepass"))
    except ValueError:
        return len(form)


def _mask(name: str, length: int) -> bytes:
    """What stands for a secret, so many bytes long."""
    told = f"[secret {name}".encode()
    return told.ljust(length - 1, b".") + b"]" if len(told) < length else b"*" * length


class Redactor:
    """Replaces the values of `secrets` (name to value) by `[secret NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        found: dict[str, str] = {}
        for name, value in secrets.items():
            if len(value) >= SHORTEST:
                for form in _forms(value):
                    found.setdefault(form, name)
        self._names = found
        # The longest first: a secret that holds another is named by its own name.
        forms = sorted(found, key=lambda form: (-len(form), form))
        self._text = re.compile("|".join(re.escape(form) for form in forms)) if forms else None
        raw = {form.encode("utf-8", "surrogatepass"): name for form, name in found.items()}
        self._raw_names = raw
        self._raw = (
            re.compile(b"|".join(re.escape(form.encode("utf-8", "surrogatepass")) for form in forms)) if forms else None
        )

    def __repr__(self) -> str:
        return f"Redactor({len(set(self._names.values()))} secrets)"

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._text is None:
            return text
        return self._text.sub(lambda match: f"[secret {self._names[match[0]]}]", text)

    def raw(self, content: bytes) -> bytes:
        """`content` without secrets. JSON stays JSON."""
        if self._raw is None:
            return content
        return self._raw.sub(lambda match: f"[secret {self._raw_names[match[0]]}]".encode(), content)

    def alike(self, content: bytes) -> bytes:
        """JSON without secrets, each text in it as long as it was: what goes by sizes is decided alike."""
        if self._raw is None:
            return content
        return self._raw.sub(lambda match: _mask(self._raw_names[match[0]], _length(match[0])), content)

    def value(self, value: Any) -> Any:
        """A JSON value (and tuples and bytes in it) without secrets, in keys too. The value itself is left alone."""
        if self._text is None:
            return value
        match value:
            case str():
                return self.text(value)
            case bytes():
                return self.raw(value)
            case dict():
                return {self.value(key): self.value(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
            case list():
                return [self.value(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
            case tuple():
                return tuple(self.value(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
            case _:
                return value
