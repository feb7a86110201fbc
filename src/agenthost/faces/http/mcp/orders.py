"""From a tool's arguments to an order: files are kept first, the rest is the host's to judge."""

import base64
import binascii
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from agenthost.core.api import HostApi, Order
from agenthost.core.errors import BadInput
from agenthost.core.parts import FilePart
from agenthost.faces.http.mcp.surface import Work

FILES = "agenthost://files/"
KEY = "dev.agenthost/idempotencyKey"
"""In a request's `_meta`: the same key starts the work once."""


async def order_of(
    api: HostApi, work: Work, arguments: dict[str, Any], meta: dict[str, Any], person: str, namespace: str
) -> Order:
    """What a call of a tool asks for. Raises BadInput that names the argument."""
    work.check(arguments)
    key = str(meta.get(KEY, ""))
    if work.kind == "agent":
        files = tuple([await _file(api, given) for given in arguments.get("files", ())])
        return Order(work.name, arguments["text"], files, key=key, person=person, namespace=namespace)
    inputs = {
        name: await _file(api, cast("dict[str, Any]", value))
        if work.inputs.get(name) == "file" and isinstance(value, dict)
        else value
        for name, value in arguments.items()
        if name in work.inputs
    }
    text = "" if work.inputs else str(arguments.get("text", ""))
    return Order(work.name, text, inputs=inputs, key=key, person=person, namespace=namespace)


async def _file(api: HostApi, given: dict[str, Any]) -> FilePart:
    name, media, uri = given.get("name", ""), given.get("mimeType", ""), given.get("uri", "")
    if "data" in given:
        content = _base64(given["data"], name)
    elif uri.startswith(FILES):
        content = await api.get_file(uri.removeprefix(FILES))
    elif uri.startswith("data:"):
        head, _, body = uri.removeprefix("data:").partition(",")
        content = _base64(body, name) if head.endswith(";base64") else unquote_to_bytes(body)
        media = media or head.partition(";")[0]
    else:
        raise BadInput(f"the host fetches nothing from '{uri}': give the file's content as data, in base64")
    # Found out from name and content rather than believed, where that can be.
    return await api.put_file(name or _name(media), content)


def _name(media: str) -> str:
    kind = media.partition(";")[0].strip().lower()
    return {
        "image/png": "file.png",
        "image/jpeg": "file.jpg",
        "text/plain": "file.txt",
        "application/pdf": "file.pdf",
    }.get(kind, "file")


def _base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(
            f"the content of the file '{name}' is not base64; encode it with the standard alphabet"
        ) from None
