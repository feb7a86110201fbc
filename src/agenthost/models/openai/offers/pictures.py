"""Pictures, made and changed. Source: OpenAI's API reference, "Images"."""

from base64 import b64decode
from binascii import Error
from typing import Any

import msgspec
from msgspec import Struct
from yarl import URL

from agenthost.core.budgets import cost_of
from agenthost.core.errors import BadInput
from agenthost.core.models import ModelCard, Usage
from agenthost.core.offers import Drawing, Media
from agenthost.models.openai.offers.asking import Asking, Form, Upload

_KINDS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
_TOKENS = 100  # of the limit that a picture's few words are thought to use


class _Picture(Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Used(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Pictures(Struct):
    data: list[_Picture]
    usage: _Used | None = None


_pictures = msgspec.json.Decoder(_Pictures)


async def draw(asking: Asking, card: ModelCard, wanted: Drawing) -> Media:
    """Make a picture, or change those given."""
    fields = {"model": card.name, "prompt": wanted.prompt}
    if not wanted.prompt:
        raise BadInput("say what is to be drawn: the prompt is empty")
    if wanted.size:
        fields["size"] = wanted.size
    if wanted.quality:
        fields["quality"] = wanted.quality
    # gpt-image always answers inline and refuses the field; others give an address unless told otherwise.
    if "gpt-image" not in card.name and (not asking.official or card.name.startswith("dall-e")):
        fields["response_format"] = "b64_json"
    if wanted.images:
        content = await asking.post_form("changing of pictures", "images/edits", _form(fields, wanted))
    else:
        body: dict[str, Any] = dict(fields)
        content = await asking.post("pictures", "images/generations", body, _TOKENS)
    answer = asking.read(content, _pictures)
    if not answer.data:
        raise asking.bad("it holds no picture")
    drawn = answer.data[0]
    data = await _bytes(asking, drawn)
    kind = kind_of(data)
    if not kind:
        raise asking.bad("what it calls a picture is no PNG, JPEG, WebP or GIF")
    usage = Usage()
    if answer.usage is not None:
        usage = Usage(answer.usage.input_tokens or 0, answer.usage.output_tokens or 0)
    cost = cost_of(card, usage) if usage.total else None
    return Media(data, kind, card.name, usage, card.image_price if cost is None else cost, drawn.revised_prompt or "")


def _form(fields: dict[str, str], wanted: Drawing) -> Form:
    form: Form = list(fields.items())
    name = "image" if len(wanted.images) == 1 else "image[]"
    for number, (content, media_type) in enumerate(wanted.images):
        if media_type not in _KINDS:
            raise BadInput(f"a picture of type {media_type or 'unknown'} can't be changed. Give a PNG, JPEG or WebP.")
        form.append((name, Upload(f"{number}.{_KINDS[media_type]}", content, media_type)))
    return form


async def _bytes(asking: Asking, drawn: _Picture) -> bytes:
    inline = drawn.b64_json
    if not inline and drawn.url and drawn.url.startswith("data:"):
        inline = drawn.url.partition(",")[2]
    if inline:
        try:
            return b64decode(inline, validate=True)
        except (Error, ValueError):
            raise asking.bad("its picture is not base64") from None
    if not drawn.url:
        raise asking.bad("it holds neither a picture nor an address of one")
    try:
        url = URL(drawn.url)
        url = url if url.absolute else asking.base.join(url)
    except ValueError:
        raise asking.bad("its picture's address is none") from None
    if url.scheme not in ("http", "https"):
        raise asking.bad("its picture's address is none of the web")
    return (await asking.fetch(url)).data


def kind_of(data: bytes) -> str:
    """The media type of a picture by its first bytes; empty where it is none of those known."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if data[:6] in (b"GIF87a", b"GIF89a") else ""
