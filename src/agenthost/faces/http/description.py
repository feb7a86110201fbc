"""`/openapi.json`, and the same for people at `/docs`: one page, without scripts and without anything from elsewhere."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from agenthost.faces.http.openapi import document
from agenthost.faces.http.operations import Answer, Operation
from agenthost.wire.bodies import encode

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.6rem;overflow:auto}
details{border-top:1px solid #ddd;padding:.4rem 0}summary{cursor:pointer}table{border-collapse:collapse}
td{padding:.1rem .8rem .1rem 0;vertical-align:top}.method{display:inline-block;min-width:4.5rem;font-weight:600}
.right{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}
details{border-color:#444}.right{color:#999}a{color:#8bf}}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}


def described(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations that describe all the others, and themselves."""
    found: list[Operation] = []

    @cache
    def made() -> tuple[bytes, bytes]:
        told = document([*operations, *found])
        return encode(told), page(told).encode()

    async def openapi(request: Request) -> Response:
        return Response(made()[0], media_type="application/json")

    async def docs(request: Request) -> Response:
        return Response(made()[1], headers=_HEADERS, media_type="text/html")

    found += (
        Operation(
            "GET",
            "/openapi.json",
            openapi,
            "getDescription",
            "This description",
            "host",
            None,
            answers=(Answer(200, dict[str, Any], "OpenAPI 3.1"),),
            above="",
        ),
        Operation(
            "GET",
            "/docs",
            docs,
            "getDocs",
            "This description as a page",
            "host",
            None,
            answers=(Answer(200, description="the page", media="text/html; charset=utf-8"),),
            above="",
        ),
    )
    return tuple(found)


def page(told: dict[str, Any]) -> str:
    """A description as HTML."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>AgentHost's API</title><style>{_STYLE}</style><h1>AgentHost's API</h1><p>{_prose(told['info']['description'])}",
        "<p>The same for programs: <a href=/openapi.json>openapi.json</a>.",
    ]
    for tag in (tag["name"] for tag in told["tags"]):
        parts.append(f"<h2>{escape(tag)}</h2>")
        for path, methods in told["paths"].items():
            parts += (_operation(path, method, each) for method, each in methods.items() if tag in each["tags"])
    parts.append("<h2>Schemas</h2>")
    for name, schema in told["components"]["schemas"].items():
        parts.append(
            f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        )
    return "\n".join(parts)


def _operation(path: str, method: str, each: dict[str, Any]) -> str:
    right = f"<span class=right> needs <code>{each['x-right']}</code></span>" if "x-right" in each else ""
    rows = "".join(
        f"<tr><td><code>{escape(given['name'])}</code><td>{given['in']}<td>{_prose(given.get('description', ''))}"
        for given in each.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td><code>{status}</code><td>{_prose(answer['description'])}<td>{_types(answer.get('content', {}))}"
        if "description" in answer
        else f"<tr><td><code>{status}</code><td>a problem<td>"
        for status, answer in each["responses"].items()
    )
    body = f"<p>Body: {_types(each['requestBody']['content'])}" if "requestBody" in each else ""
    return (
        f"<details><summary><span class=method>{method.upper()}</span><code>{escape(path)}</code> "
        f"{_prose(each['summary'])}{right}</summary><p>{_prose(each.get('description', ''))}"
        f"<table>{rows}</table>{body}<table>{answers}</table></details>"
    )


def _types(content: dict[str, Any]) -> str:
    told: list[str] = []
    for media, each in content.items():
        reference = each.get("schema", {}).get("$ref", "").rpartition("/")[2]
        told.append(f"<code>{escape(media)}</code>" + (f" <a href='#{reference}'>{reference}</a>" if reference else ""))
        if "example" in each:
            told.append(_json(each["example"]))
    return " ".join(told)


def _json(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(encode(value), indent=2).decode())}</pre>"


def _prose(text: str) -> str:
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
