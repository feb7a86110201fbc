"""What models can do and cost: a table, shipped as `cards.toml`, replaceable by a file of one's own."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import msgspec

from agenthost.core.errors import BadInput
from agenthost.core.models import ModelCard

_DATED = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest|preview)")
_WINDOW = 16_384  # tokens that nearly every model served today can take
_OUTPUT = 4_096


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cards: tuple[ModelCard, ...] = ()


class Cards:
    """Cards by name. A dated name (`gpt-5-2025-08-07`, `-latest`) has the card of the name without its date."""

    def __init__(self, cards: tuple[ModelCard, ...]) -> None:
        self._cards = {card.name: card for card in cards}

    def card(self, name: str, free: bool = False) -> ModelCard:
        """The card of model `name`, under that very name. A model that isn't in the table gets one that promises
        little, without a price, or costing nothing where it is `free` (it runs on this machine)."""
        known = self._cards.get(name)
        if known is None and (dated := _DATED.fullmatch(name)):
            known = self._cards.get(dated[1])
        if known is not None:
            return msgspec.structs.replace(known, name=name)
        price = 0.0 if free else None
        return ModelCard(name, _WINDOW, _OUTPUT, input_price=price, output_price=price, cached_price=price)

    def names(self) -> list[str]:
        return list(self._cards)


def load_cards(path: str = "") -> Cards:
    """The cards of a TOML file, or our own table. Raises BadInput where the file can't be used."""
    if not path:
        text = files("agenthost.models").joinpath("cards.toml").read_text(encoding="utf-8")
        return Cards(msgspec.convert(tomllib.loads(text), _Table).cards)
    try:
        return Cards(msgspec.convert(tomllib.loads(Path(path).read_text(encoding="utf-8")), _Table).cards)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"The table of model cards {path} can't be used: {error}.") from None
