"""The OpenAPI 3.1 description of a table of operations."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, cast

import msgspec

from agenthost import __version__
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, PLACES, Answer, Body, Nothing, Operation
from agenthost.wire.problems import MEDIA_TYPE, Problem

_REFERENCE = "#/components/schemas/{name}"
_TAKEN = {"type": "string", "contentMediaType": "application/octet-stream"}

DESCRIPTION = """\
The API of one AgentHost. Times are seconds since the epoch, sizes bytes, money USD. Every error is a problem (RFC 9457) \
with a stable `code`; `detail` says what to do. What isn't the caller's to see is 404, what they may see and not do 403. \
A request whose head or body doesn't come in time, or is no HTTP, ends with a bare 400, 408 or 431, or a closed connection.
"""


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The description as JSON values. Operations stand in it in the table's order."""
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    known = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.whole, {})[operation.method.lower()] = _operation(operation, known)
    _say_base64([components, schemas])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AgentHost",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                _named(status): _problem(status) for status in sorted({s for o in operations for s in errors_of(o)})
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the owner's token, or a key of somebody's",
                }
            },
        },
        "security": [{"token": []}],
    }


def _say_base64(value: Any) -> None:
    """Say of texts that are bytes which texts can be: JSON Schema's `contentEncoding` is a note, and no rule."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if found.get("contentEncoding") == "base64":
            found["pattern"] = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
        for each in found.values():
            _say_base64(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[Any]", value):
            _say_base64(each)


def _types(operations: Iterable[Operation]) -> list[Any]:
    found: dict[str, Any] = {repr(Problem): Problem}
    for operation in operations:
        for type in (*_places(operation).values(), *(answer.type for answer in operation.answers)):
            if type is not None:
                found[repr(type)] = type
        if operation.body is not None and operation.body.type is not None:
            found[repr(operation.body.type)] = operation.body.type
    return [*found.values()]


def _places(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", operation.whole)
    return {name: operation.places.get(name) or PLACES[name] for name in names}


def errors_of(operation: Operation) -> list[int]:
    """The statuses of the problems that an operation may answer with."""
    found = {400, 500, 503, *operation.errors}
    if operation.right is not None:
        found |= {401, 403, 429}
    if _places(operation):
        found.add(404)
    if operation.body is not None:
        found |= {413} | ({415} if operation.body.type is not None else set())
    if IDEMPOTENCY_KEY in operation.headers:
        found |= {409, 422}
    return sorted(found - {answer.status for answer in operation.answers})


def _operation(operation: Operation, known: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, known),
    }
    if operation.description:
        made["description"] = operation.description
    parameters = [*_of_path(operation, known), *_of_query(operation), *_of_headers(operation)]
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = _body(operation.body, operation, known)
    if operation.right is None:
        made["security"] = []
    else:
        made["x-right"] = operation.right
    return made


def _of_path(operation: Operation, known: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for name, type in _places(operation).items():
        schema = dict(known[repr(type)])
        examples = schema.pop("examples", None)
        example = operation.example.places.get(name) or (examples[0] if examples else None)
        told = {"example": example} if example is not None else {}
        about = {"description": schema.pop("description")} if "description" in schema else {}
        yield {"name": name, "in": "path", "required": True, "schema": schema, **about, **told}


def _of_query(operation: Operation) -> Iterable[dict[str, Any]]:
    if operation.query is Nothing:
        return
    (schema,), components = msgspec.json.schema_components([operation.query], ref_template=_REFERENCE)
    record = components[schema["$ref"].rpartition("/")[2]]
    for name, found in record["properties"].items():
        about = {"description": found.pop("description")} if "description" in found else {}
        required = {"required": True} if name in record.get("required", ()) else {}
        example = operation.example.query.get(name)
        told = {"example": _typed(example, found)} if example is not None else {}
        yield {"name": name, "in": "query", **required, "schema": found, **about, **told}


def _typed(text: str, schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return [text]
    return text if schema.get("type", "string") == "string" else msgspec.json.decode(text)


def _of_headers(operation: Operation) -> Iterable[dict[str, Any]]:
    for header in operation.headers:
        example = operation.example.headers.get(header.name) or header.example
        told = {"example": example} if example else {}
        schema: dict[str, Any] = {"type": "string"} | ({"pattern": header.pattern} if header.pattern else {})
        if header is IDEMPOTENCY_KEY:
            schema |= {"minLength": 1, "maxLength": 200}
        yield {"name": header.name, "in": "header", "schema": schema, "description": header.description, **told}


def _body(body: Body, operation: Operation, known: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = known[repr(body.type)] if body.type is not None else {}
    content: dict[str, Any] = {}
    for media in body.media:
        content[media] = {"schema": schema} if schema else {}
        if operation.example.body is not None:
            content[media]["example"] = operation.example.body
    told = {"description": body.description} if body.description else {}
    return {"required": body.required, "content": content, **told}


def _responses(operation: Operation, known: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for answer in operation.answers:
        response = made.setdefault(str(answer.status), {"description": answer.description})
        if content := _content(answer, known):
            response.setdefault("content", {}).update(content)
        if answer.headers:
            response["headers"] = {
                name: {"description": about, "schema": {"type": "string"}} for name, about in answer.headers.items()
            }
        for id, parameters in answer.links.items():
            response.setdefault("links", {})[id] = {"operationId": id, "parameters": parameters}
    for status in errors_of(operation):
        made[str(status)] = {"$ref": f"#/components/responses/{_named(status)}"}
    return made


def _content(answer: Answer, known: dict[str, Any]) -> dict[str, Any]:
    if answer.type is not None:
        return {answer.media or "application/json": {"schema": known[repr(answer.type)]}}
    return {answer.media: {}} if answer.media else {}


def _named(status: int) -> str:
    return "".join(word.capitalize() for word in re.findall(r"\w+", HTTPStatus(status).phrase))


def _problem(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}},
    }
    if status in (429, 503):
        about = "seconds after which it may be tried again, where that is known"
        made["headers"] = {"Retry-After": {"description": about, "schema": {"type": "string"}}}
    if status == 401:
        made["headers"] = {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}}
    return made
