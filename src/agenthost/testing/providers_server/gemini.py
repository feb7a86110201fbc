"""Gemini's generateContent and streamGenerateContent. Source: Google's reference "Generating content", "Errors"."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.playbook import FailKind, Play
from agenthost.models.scripted import pieces
from agenthost.testing.openai_server.heard import Malformed, metadata_of
from agenthost.testing.providers_server.dialect import Trouble, event, picture, signature

_STOPS = {"end": "STOP", "calls": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
_INFO = "type.googleapis.com/google.rpc."
_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
_KEY = {"@type": f"{_INFO}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
_UNSIGNED = b64encode(b"skip_thought_signature_validator").decode()  # Google's own word for calls of other models
_QUOTA = {"@type": f"{_INFO}QuotaFailure", "violations": [{"quotaId": _DAY}]}


class Gemini:
    """The dialect."""

    name = "gemini"
    key_header = "x-goog-api-key"
    troubles: ClassVar[Mapping[FailKind, Trouble]] = {
        "rate-limit": Trouble(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        "server-error": Trouble(500, "INTERNAL", "An internal error has occurred."),
        "overloaded": Trouble(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "auth": Trouble(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", (_KEY,)),
        "quota": Trouble(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", (_QUOTA,)),
        "context": Trouble(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "bad-request": Trouble(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
        "not-found": Trouble(404, "NOT_FOUND", "models/gemini-nothing is not found for API version v1beta."),
    }

    def request(self, body: dict[str, Any], request: web.Request) -> ModelRequest:
        settings: dict[str, Any] = body.get("generationConfig") or {}
        told: dict[str, Any] = body.get("systemInstruction") or {}
        tools = [tool for group in body.get("tools") or () for tool in group.get("functionDeclarations", ())]
        return ModelRequest(
            request.match_info["model"],
            "\n".join(part["text"] for part in told.get("parts", ())),
            tuple(_turns(body["contents"])),
            tools=tuple(
                ToolSpec(
                    t["name"],
                    t.get("description", ""),
                    _either(t, "parametersJsonSchema", "parameters_json_schema", "parameters") or {},
                )
                for t in tools
            ),
            output_schema=settings.get("responseJsonSchema") or settings.get("responseSchema"),
            max_output=settings.get("maxOutputTokens", 0),
            key=request.headers.get("Idempotency-Key", ""),
            metadata=metadata_of(request.headers),
        )

    def streams(self, body: dict[str, Any], request: web.Request) -> bool:
        return request.match_info["method"] == "streamGenerateContent"

    def error(self, trouble: Trouble, retry: float | None) -> dict[str, Any]:
        details = list(trouble.details)
        if retry is not None:
            details.append({"@type": f"{_INFO}RetryInfo", "retryDelay": f"{retry:g}s"})
        fields = {"code": trouble.status, "message": trouble.message, "status": trouble.type}
        return {"error": fields | ({"details": details} if details else {})}

    def empty(self) -> dict[str, Any]:
        return {"candidates": []}

    def whole(self, play: Play, model: str) -> dict[str, Any]:
        return _response(play, model, _parts_of(play), _finish(play))

    def stream(self, play: Play, model: str) -> Iterator[bytes]:
        if play.reasoning:
            for piece in pieces(play.reasoning):
                yield event(_response(play, model, [{"text": piece, "thought": True}], None))
        for piece in pieces(play.text):
            yield event(_response(play, model, [{"text": piece}], None))
        yield event(_response(play, model, _calls(play), _finish(play)))


def _finish(play: Play) -> str:
    return _STOPS[play.stop] if all(_readable(call.arguments) for call in play.calls) else "MALFORMED_FUNCTION_CALL"


def _readable(arguments: str) -> bool:
    try:
        msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return False
    return True


def _response(play: Play, model: str, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = play.usage
    counted = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "cachedContentTokenCount": usage.cached,
        "totalTokenCount": usage.total,
    }
    made = {"candidates": [candidate], "modelVersion": play.model or model, "responseId": "r1"}
    return made | {"usageMetadata": counted}


def _parts_of(play: Play) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": play.reasoning, "thought": True}] if play.reasoning else []
    return [*parts, *([{"text": play.text}] if play.text else []), *_calls(play)]


def _calls(play: Play) -> list[dict[str, Any]]:
    """The calls; the first carries the signature of the thinking that led to it."""
    calls = [call for call in play.calls if _readable(call.arguments)]
    parts: list[dict[str, Any]] = [
        {"functionCall": {"id": call.id, "name": call.name, "args": msgspec.json.decode(call.arguments)}}
        for call in calls
    ]
    if parts and play.reasoning:
        parts[0]["thoughtSignature"] = signature(calls[0].name)
    return parts


def _turns(contents: list[dict[str, Any]]) -> list[Turn]:
    turns: list[Turn] = []
    waiting: list[str] = []
    for content in contents:
        parts = content["parts"]
        if content.get("role") == "model":
            made = [part["functionCall"] for part in parts if "functionCall" in part]
            waiting = [call["name"] for call in made]
            _check_signatures(parts)
            calls = tuple(
                ToolCall(call.get("id") or "", call["name"], msgspec.json.encode(call.get("args") or {}).decode())
                for call in made
            )
            turns.append(Turn("assistant", _said(parts), calls))
            continue
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if [result["name"] for result in results] != waiting:
            raise Malformed("the number of function response parts is not that of the function call parts")
        turns += [_result(result) for result in results]
        if said := _said(parts):
            turns.append(Turn("user", said))
        waiting = []
    if not turns:
        raise Malformed("contents is not specified")
    return turns


def _check_signatures(parts: list[dict[str, Any]]) -> None:
    for part in parts:
        signed, call = part.get("thoughtSignature"), part.get("functionCall")
        if signed and call and signed not in (signature(call["name"]), _UNSIGNED):
            raise Malformed("Thought signature is not valid")


def _result(result: dict[str, Any]) -> Turn:
    response = result["response"]
    failed = "error" in response
    words = response.get("error") or response.get("return_value") or response.get("output") or response
    text = words if isinstance(words, str) else msgspec.json.encode(words).decode()
    return Turn("tool", (TextPart(text),), call_id=result.get("id") or "", name=result["name"], error=failed)


def _either(fields: dict[str, Any], *names: str) -> Any:
    """A field by either of its names: the JSON of protocol buffers takes both."""
    return next((fields[name] for name in names if name in fields), None)


def _said(parts: list[dict[str, Any]]) -> tuple[Part, ...]:
    said: list[Part] = []
    for part in parts:
        if "inlineData" in part:
            data = part["inlineData"]
            file = picture(data["data"], _either(data, "mimeType", "mime_type"))
            if file is None:
                raise Malformed("inlineData is not base64")
            said.append(file)
        elif "text" in part and not part.get("thought"):
            said.append(TextPart(part["text"]))
    return tuple(said)
