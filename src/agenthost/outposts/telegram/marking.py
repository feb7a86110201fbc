"""Markdown as Telegram shows it: text and entities, which can't be wrong as markup could."""

from functools import cache

from telegramify_markdown.config import RenderConfig
from telegramify_markdown.converter import convert

from agenthost.outposts.channel.port import Mark

KINDS = frozenset(
    (
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "pre",
        "text_link",
        "blockquote",
        "expandable_blockquote",
    )
)


@cache
def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    signs = config.markdown_symbol
    signs.heading_level_1 = signs.heading_level_2 = signs.heading_level_3 = signs.heading_level_4 = ""
    signs.unordered_list_item = "•"
    return config


def shape(text: str) -> tuple[str, tuple[Mark, ...]]:
    """See `port.Channel.shape`. A text that the converter can't take is shown as it is."""
    try:
        plain, entities = convert(text, latex_escape=False, config=_config())
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
        return text, ()
    if text.strip() and not plain.strip():
        return text, ()
    marks = [
        Mark(one.type, one.offset, one.length, one.url or one.language or "")
        for one in entities
        if one.type in KINDS and one.length > 0
    ]
    return plain, tuple(marks)
