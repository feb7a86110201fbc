"""Prices and windows of other providers' models, from the data that ships in PyPI's `genai-prices`: the one door to it.

Nothing is fetched: the package brings its data along, and a newer package brings newer prices.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data_snapshot import find_provider_by_id, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices
from msgspec.structs import replace

from agenthost.core.models import ModelCard, Tier

_IDS = {"xai": "x-ai", "bedrock": "aws", "google-cloud": "google", "github": "github-copilot"}
_WINDOW = 32_768  # tokens; where the data names no window
_OUTPUT = 8_192  # tokens that nearly every model of these providers can answer with
_IMAGE = 5_000  # tokens; above what Anthropic (about 4,800) and Google count for their largest picture

_DRAWN = {"gpt-image-1": 6_240, "gpt-image-1-mini": 6_240, "gpt-image-1.5": 6_240, "gpt-image-2": 30_000}
"""Tokens of the dearest picture. The data has none of these. 6,240 stand for 1024x1536 at high quality, and agree with what is charged for such a
picture by others (0.20 USD with gpt-image-1.5); gpt-image-2 is an upper estimate for its largest (12,329 were told of for 3584x2048)."""

TOKEN_PRICES = ("input_price", "output_price", "cached_price", "cache_write_price")
"""The fields of a card that are prices of tokens."""

_Price = Decimal | TieredPrices | None


def priced(provider: str, model: str, today: datetime | None = None) -> ModelCard | None:
    """The card of a model; None where neither it nor its provider is known. A price by the hour of the day
    counts at its dearest, since nobody knows when a call will be made."""
    found = find_provider_by_id(get_snapshot().providers, known_as(provider))
    info = found.find_model(model) if found is not None else None  # of this provider, not of one that it resells
    if info is None:
        return None
    window = info.context_window or _WINDOW
    card = ModelCard(model, window, min(_OUTPUT, window), image_tokens=_IMAGE)
    price = _dearest(info, today or datetime.now(UTC))
    if info.id == "moderation" and provider == "openai":  # the data has no price, and says that it costs nothing
        return replace(card, input_price=0.0, output_price=0.0)
    return _with_media(_with_prices(card, price, info.id), price, info.id)


def known_as(provider: str) -> str:
    """What the data calls a provider of ours."""
    return _IDS.get(provider, provider)


def source() -> str:
    """Where these cards come from, for people."""
    return f"genai-prices {version('genai-prices')}"


def fields(card: ModelCard) -> frozenset[str]:
    """The fields of such a card that the data says."""
    names = (*TOKEN_PRICES, "image_price", "minute_price", "character_price")
    known = [name for name in names if getattr(card, name) is not None] + (["tiers"] if card.tiers else [])
    return frozenset([*known, "window"] if card.window != _WINDOW else known)


def _dearest(info: ModelInfo, today: datetime) -> ModelPrice:
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    hours = [info.get_prices(midnight + timedelta(hours=hour)) for hour in range(24)]
    return max(hours, key=lambda price: (_base(_of(price, "output")) or 0.0, _base(_of(price, "input")) or 0.0))


def _with_media(card: ModelCard, price: ModelPrice, id: str) -> ModelCard:
    """With what isn't paid by tokens of text. Where tokens of text, sound and pictures differ, all count as the dearest:
    providers tell how many there were, but no card has a price for each."""
    if id in _DRAWN or "transcribe" in id:
        given = [_base(_of(price, f"input{kind}")) or 0.0 for kind in ("", "_audio", "_image")]
        made = max(_base(_of(price, f"output{kind}")) or 0.0 for kind in ("", "_audio", "_image"))
        drawn = _DRAWN[id] * made / 1_000_000 if id in _DRAWN else None
        # Read from the cache, a picture may cost more than fresh text.
        return replace(card, input_price=max(given), output_price=made, cached_price=None, image_price=drawn)
    hour, characters = getattr(price, "input_audio_hours", None), getattr(price, "input_mchars", None)
    return replace(
        card,
        minute_price=None if hour is None else float(hour / 60),
        character_price=None if characters is None else float(characters),
    )


def _with_prices(card: ModelCard, price: ModelPrice, id: str) -> ModelCard:
    given, made = _of(price, "input"), _of(price, "output")
    if made is None and "embed" in id:
        made = Decimal(0)
    if given is None or made is None or getattr(price, "requests_kcount", None) is not None:
        return card  # what is paid by the request, too, can't be said in prices of tokens
    read, written = _of(price, "cache_read"), _of(price, "cache_write")
    starts = sorted(
        {tier.start for each in (given, made, read, written) if isinstance(each, TieredPrices) for tier in each.tiers}
    )
    tiers = tuple(
        Tier(start, _at(given, start) or 0.0, _at(made, start) or 0.0, _at(read, start), _at(written, start))
        for start in starts
    )
    return replace(
        card,
        input_price=_base(given),
        output_price=_base(made),
        cached_price=_base(read),
        cache_write_price=_base(written),
        tiers=tiers,
    )


def _of(price: ModelPrice, unit: str) -> _Price:
    return getattr(price, f"{unit}_mtok", None)


def _base(price: _Price) -> float | None:
    if price is None:
        return None
    return float(price.base if isinstance(price, TieredPrices) else price)


def _at(price: _Price, start: int) -> float | None:
    """The price of a request that is longer than `start`."""
    if isinstance(price, TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= start]
        return float(reached[-1] if reached else price.base)
    return _base(price)
