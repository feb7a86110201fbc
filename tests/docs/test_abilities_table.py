"""The table of what providers do, in docs/models.md, is what the code does."""

from importlib.util import find_spec
from pathlib import Path

from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

from agenthost.models import prices
from agenthost.models.abilities import NoAbilities
from agenthost.models.cards import load_cards
from agenthost.models.llamacpp.abilities import LocalAbilities
from agenthost.models.llamacpp.model import LocalModel
from agenthost.models.openai.background import BackgroundModel
from agenthost.models.openai.offers import OpenAIOffers
from agenthost.models.providers.abilities import ProviderAbilities, embeds
from agenthost.models.providers.model import ProviderModel
from agenthost.models.providers.names import KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
METHODS = {
    "embeddings": "embed",
    "batch": "start_batch",
    "files": "put_file",
    "moderation": "moderate",
    "pictures": "draw",
    "speech": "speak",
    "transcription": "transcribe",
}
COLUMNS = ("provider", *METHODS, "background", "cached prices", "effort")
IF = "if it has it"
EMBEDS = {"yes": "yes", "maybe": IF, "no": "no"}


def does(kind: type) -> list[str]:
    """For each ability, whether this class has one of its own."""
    return ["yes" if getattr(kind, method) is not getattr(NoAbilities, method) else "no" for method in METHODS.values()]


def resumes(kind: type) -> str:
    return "yes" if hasattr(kind, "resume") else "no"


def thinks(kind: str) -> str:
    """Whether pydantic-ai's model class of this provider makes anything of an effort."""
    own = {"google-cloud": "google"}.get(kind, kind)
    spec = find_spec(f"pydantic_ai.models.{own}") or find_spec("pydantic_ai.models.openai")
    assert spec is not None and spec.origin is not None
    origin = Path(spec.origin)
    files = origin.parent.glob("*.py") if origin.name == "__init__.py" else [origin]
    texts = [file.read_text() for file in files]
    return "yes" if any(".thinking" in text or "from .openai" in text for text in texts) else "no"


def cached(kind: str) -> str:
    """Whether the price of cached prompts is known of any model."""
    found = find_provider_by_id(get_snapshot().providers, prices.known_as(kind))
    cards = [prices.priced(kind, model.id) for model in found.models] if found is not None else []
    return "known" if any(card is not None and card.cached_price is not None for card in cards) else "unknown"


def rows() -> list[tuple[str, ...]]:
    table = load_cards()
    assert all(table.card(name).cached_price is not None for name in table.names())
    own = does(OpenAIOffers)
    assert set(own) == {"yes"}
    made: list[tuple[str, ...]] = [
        ("`openai`", *own, resumes(BackgroundModel), "known", "yes"),
        ("servers of its API", *[IF] * (len(own) + 1), "by your card", IF),
        ("`llamacpp`", *does(LocalAbilities), resumes(LocalModel), "free", IF),
    ]
    for kind in sorted(KEYS):
        abilities = [EMBEDS[embeds(kind)], *does(ProviderAbilities)[1:]]
        made.append((f"`{kind}`", *abilities, resumes(ProviderModel), cached(kind), thinks(kind)))
    return made


def table() -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows()]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def test_the_table_of_what_providers_do_is_true() -> None:
    expected = table()
    assert expected in PAGE, f"the table in docs/models.md should be:\n{expected}"
