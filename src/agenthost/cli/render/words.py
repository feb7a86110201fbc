"""How times, sizes, money and foreign texts are written."""

import json
import re
from typing import Any

# Escape sequences and control characters of models, tools and programs would drive the terminal; bidirectional
# overrides would show other words than there are (Unicode TR 36).
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """`text` with nothing in it that drives a terminal; tabs are spaces."""
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n"))
    return _CONTROLS.sub("", text.replace("\r", "\n")).expandtabs(4)


def one_line(text: str, width: int) -> str:
    """`text` as one clean line of at most `width` characters, cut with an ellipsis."""
    flat = " ".join(clean(text[: width * 8 + 200]).split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)].rstrip() + "…"


def bounded(text: str, most: int, tail: bool = False) -> tuple[list[str], int]:
    """The first (or last) `most` lines of `text`, clean, and how many were left out."""
    lines = clean(text).strip("\n").split("\n") if text.strip() else []
    kept = lines[-most:] if tail else lines[:most]
    return kept, len(lines) - len(kept)


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m 05s`, `2h 07m`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def count(number: int) -> str:
    """`940`, `1.2k`, `34k`, `1.5M`."""
    if number < 1000:
        return str(number)
    if number < 999_500:
        thousands = number / 1000
        return f"{thousands:.1f}k" if thousands < 9.95 else f"{thousands:.0f}k"
    return f"{number / 1_000_000:.1f}M"


def money(amount: float) -> str:
    """`$0.0042`, `$1.20`: four digits below a dollar."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def size(number: int) -> str:
    """`812 B`, `1.4 kB`, `3.0 MB` (powers of ten)."""
    if number < 1000:
        return f"{number} B"
    if number < 999_950:
        return f"{number / 1000:.1f} kB"
    return f"{number / 1_000_000:.1f} MB"


def plural(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def arguments(values: dict[str, Any], width: int) -> str:
    """A tool's arguments on one line: a lone text as it is, others as `key=value`, long ones cut."""
    if len(values) == 1:
        value = next(iter(values.values()))
        return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), width)
    pieces: list[str] = []
    for key, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        pieces.append(f"{key}={one_line(text, 40)}")
    return one_line("  ".join(pieces), width)


def model_name(name: str) -> str:
    """A model's name as it is shown: of a scripted one without the file that it plays."""
    return "scripted" if name.startswith("scripted:") else name
