"""Files that a provider keeps, and its lists. Source: OpenAI's API reference, "Files"."""

import mimetypes
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, Permanent
from agenthost.core.offers import ProviderFile
from agenthost.models.openai.offers.asking import Asking, Form, Upload

_PAGES = 1_000  # of a list; more are a server that goes round in circles
_WHAT = "files"


class _Kept(Struct):
    id: str
    filename: str | None = None
    bytes: int | None = None
    purpose: str | None = None
    created_at: float | None = None


class _Deleted(Struct):
    deleted: bool


T = TypeVar("T")


class Page(Struct, Generic[T]):
    """A page of one of the API's lists."""

    data: list[T]
    has_more: bool | None = None


_kept = msgspec.json.Decoder(_Kept)
_page = msgspec.json.Decoder(Page[_Kept])
_deleted = msgspec.json.Decoder(_Deleted)


async def put(asking: Asking, name: str, content: bytes, purpose: str) -> ProviderFile:
    """Have a file kept."""
    if not name.isprintable() or not name:
        raise BadInput(f"a file can't be kept under the name {name!r}. Give it one of a single line.")
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    form: Form = [("purpose", purpose), ("file", Upload(name, content, media_type))]
    return _shown(asking.read(await asking.post_form(_WHAT, "files", form), _kept))


async def listed(asking: Asking) -> list[ProviderFile]:
    """Everything that is kept, page by page."""
    found: dict[str, ProviderFile] = {}
    after = ""
    for _ in range(_PAGES):
        query = {"after": after} if after else {}
        page = asking.read(await asking.get(_WHAT, "files", query), _page)
        fresh = [kept for kept in page.data if kept.id not in found]
        found.update((kept.id, _shown(kept)) for kept in fresh)
        if not page.has_more or not fresh:
            break
        after = page.data[-1].id
    return list(found.values())


async def get(asking: Asking, id: str) -> bytes:
    """A file's bytes."""
    return (await asking.get("file", f"files/{asking.thing('file', id)}/content", thing=id)).data


async def delete(asking: Asking, id: str) -> None:
    """Have a file forgotten."""
    content = await asking.act("file", "DELETE", f"files/{asking.thing('file', id)}", id)
    if not asking.read(content, _deleted).deleted:
        raise Permanent(f"{asking.peer.name} did not delete the file '{id}'.", code="bad-request")


def _shown(kept: _Kept) -> ProviderFile:
    return ProviderFile(kept.id, kept.filename or "", kept.bytes or 0, kept.purpose or "", kept.created_at or 0.0)
