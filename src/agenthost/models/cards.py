"""What models can do and cost: a table, shipped as `cards.toml`, replaceable by a file of one's own."""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import cast

import msgspec

from agenthost.core.errors import BadInput
from agenthost.core.models import ModelCard, Tier

_DATED = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest|preview)")
_WINDOW = 16_384  # tokens that nearly every model served today can take
_OUTPUT = 4_096


FREE = ("input_price", "output_price", "cached_price", "image_price", "minute_price", "character_price")
"""The prices of what runs on this machine: all of them are 0."""
_UNITS = {
    "image_price": "at most for a picture",
    "minute_price": "a minute",
    "character_price": "per million characters",
}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cards: tuple[ModelCard, ...] = ()
    others: tuple[ModelCard, ...] = ()


class Cards:
    """Cards by name; `others` are of models that do something else than answer, and aren't listed. A dated name (`gpt-5-2025-08-07`, `-latest`) has the card of the name without its date."""

    def __init__(self, cards: tuple[ModelCard, ...], source: str = "", others: tuple[ModelCard, ...] = ()) -> None:
        self._listed = tuple(card.name for card in cards)
        self.others = tuple(card.name for card in others)
        self._cards = {card.name: card for card in (*cards, *others)}
        self.source = source

    def known(self, name: str) -> ModelCard | None:
        """The card of model `name` where the table has one."""
        known = self._cards.get(name)
        if known is None and (dated := _DATED.fullmatch(name)):
            known = self._cards.get(dated[1])
        return known

    def card(self, name: str, free: bool = False) -> ModelCard:
        """The card of model `name`, under that very name. A model that isn't in the table gets one that promises
        little, without a price, or costing nothing where it is `free` (it runs on this machine)."""
        known = self.known(name)
        if known is not None:
            return msgspec.structs.replace(known, name=name)
        unpriced = ModelCard(name, _WINDOW, _OUTPUT)
        return msgspec.structs.replace(unpriced, **dict.fromkeys(FREE, 0.0)) if free else unpriced

    def names(self) -> list[str]:
        return list(self._listed)


def load_cards(path: str = "") -> Cards:
    """The cards of a TOML file, or our own table. Raises BadInput where the file can't be used."""
    if not path:
        text = files("agenthost.models").joinpath("cards.toml").read_text(encoding="utf-8")
        return _cards(text, "AgentHost's own table")
    try:
        return _cards(Path(path).read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"The table of model cards {path} can't be used: {error}.") from None


def _cards(text: str, source: str) -> Cards:
    table = msgspec.convert(tomllib.loads(text), _Table)
    return Cards(table.cards, source, table.others)


class CardLine(msgspec.Struct, frozen=True):
    """One value of a card and where it comes from, for people."""

    field: str
    value: str
    source: str


def explain(card: ModelCard, sources: Mapping[str, str]) -> tuple[CardLine, ...]:
    """Every value of a card with its source. `sources`: a field's source by its name; under `""` that of the rest."""
    return tuple(
        CardLine(field, _shown(field, getattr(card, field)), sources.get(field, sources.get("", "assumed")))
        for field in card.__struct_fields__
    )


def _shown(field: str, value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.endswith("_price") and isinstance(value, float | int):
        return f"{value:g} USD {_UNITS.get(field, 'per million tokens')}"
    if isinstance(value, int):
        return f"{value:,} tokens"
    if isinstance(value, tuple):
        tiers = cast(tuple[Tier, ...], value)
        return (
            "; ".join(f"above {t.above:,} tokens: {t.input_price:g} in, {t.output_price:g} out" for t in tiers)
            or "none"
        )
    return str(value)
