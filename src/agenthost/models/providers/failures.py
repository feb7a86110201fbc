"""What can go wrong between us and a provider behind pydantic-ai, in two words and stable codes.

pydantic-ai sorts the errors of each SDK into classes, by status and typed fields; those alone decide here.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UserError,
)

from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.models.openai.delays import LONGEST
from agenthost.models.openai.failures import Peer

_Make = Callable[[ModelAPIError, str, Peer], AgentHostError]


def failed(error: Exception, peer: Peer, begun: bool) -> AgentHostError:
    """What an error means. `begun`: a part of the answer had come."""
    if isinstance(error, ContentFilterError):
        return Permanent(f"{peer.name} refused to answer this: {peer.clean(error.message)}", code="refused")
    if isinstance(error, ModelConnectionError):
        return _connection(error, peer, begun)
    if isinstance(error, ModelAPIError):
        for kinds, make in _KINDS:
            if isinstance(error, kinds):
                return _with(make(error, _said(error, peer), peer), error)
        if isinstance(error, ModelHTTPError):
            return _with(_status(error, _said(error, peer), peer), error)
    if isinstance(error, UserError | NotImplementedError):
        return Permanent(f"{peer.name} can't be asked this: {peer.clean(str(error))}", code="bad-request")
    if isinstance(error, OSError):
        return cut(peer) if begun else broke(peer)
    return bad_answer(str(error), peer)


def bad_answer(reason: str, peer: Peer) -> Temporary:
    """The answer isn't one."""
    where = f" at {peer.url}" if peer.url else ""
    return Temporary(
        f"{peer.name}{where} sent an answer that can't be used: {peer.clean(reason)}. If it goes on, check that "
        f"{peer.url_setting} is an address of {peer.name}'s API.",
        code="bad-answer",
        sent=True,
    )


def cut(peer: Peer) -> Temporary:
    """The answer ended in the middle."""
    return Temporary(f"{peer.name} broke off in the middle of its answer.", code="cut", sent=True)


def broke(peer: Peer) -> Temporary:
    """The connection ended before an answer began."""
    return Temporary(f"The connection to {peer.name} at {peer.url} broke.", code="disconnected", sent=True)


def _connection(error: ModelConnectionError, peer: Peer, begun: bool) -> AgentHostError:
    early = error.phase in ("pool", "connect")
    if isinstance(error, ModelTimeoutError):
        if early:
            return Temporary(f"Connecting to {peer.name} at {peer.url} took too long.", code="timeout")
        words = f"{peer.name} sent nothing for too long. A slow model needs a longer idle-timeout."
        return Temporary(words, code="timeout", sent=True)
    if early:
        return Temporary(
            f"{peer.name} can't be reached at {peer.url}. Check the network, and {peer.url_setting}.",
            code="unreachable",
        )
    # A response that was shorter than it said breaks httpx's protocol; a connection that was reset does not.
    return cut(peer) if begun or error.in_stream or _short(error) else broke(peer)


def _short(error: BaseException) -> bool:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if type(cause).__name__ == "RemoteProtocolError":
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _quota(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    return Permanent(f"The account at {peer.name} has no money or quota left: {said}", code="quota")


def _rate(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    return Temporary(f"{peer.name} asks to slow down: {said}", code="rate-limit", delay=_delay(error))


def _server(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    status = error.status_code if isinstance(error, ModelHTTPError) else 0
    # A gateway that lost its patience may have a finished answer behind it.
    sent = error.in_stream or status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
    return Temporary(f"{peer.name} failed: {said}", code="provider-error", delay=_delay(error), sent=sent)


def _auth(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    verb = "refused the key" if peer.keyed else "wants a key"
    words = f"{peer.name} {verb}: {said} Set {peer.key_setting} to a key that may use {peer.model}."
    return Permanent(words, code="auth")


def _no_model(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    near = error.suggested_model_id if isinstance(error, ModelHTTPError) else None
    hint = f" Did you mean '{near}'?" if near else ""
    words = f"{peer.name} has no model '{peer.model}': {said}{hint} Check the model's name and {peer.url_setting}."
    return Permanent(words, code="not-found")


def _long(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    return Permanent(f"The request is longer than {peer.model} can take: {said}", code="context-too-long")


def _rejected(error: ModelAPIError, said: str, peer: Peer) -> AgentHostError:
    return Permanent(f"{peer.name} refused the request: {said}", code="bad-request")


def _status(error: ModelHTTPError, said: str, peer: Peer) -> AgentHostError:
    if error.status_code in (408, 409, 425) or error.status_code >= 500:
        return _server(error, said, peer)
    if error.status_code == 413:
        return _long(error, said, peer)
    return _rejected(error, said, peer)


_KINDS: tuple[tuple[type[ModelAPIError], _Make], ...] = (  # the first that fits counts
    (ModelContextWindowExceededError, _long),
    (ModelQuotaExceededError, _quota),
    (ModelRateLimitError, _rate),
    (ModelAuthenticationError, _auth),
    (ModelNotFoundError, _no_model),
    (ModelUnavailableError, _server),
    (ModelServerError, _server),
    (ModelRequestRejectedError, _rejected),
)


def _delay(error: ModelAPIError) -> float | None:
    return None if error.retry_after is None else min(max(error.retry_after, 0.0), LONGEST)


def _said(error: ModelAPIError, peer: Peer) -> str:
    """The provider's own words, wherever its error has them."""
    words = _message(error.body)
    if not words and isinstance(error, ModelHTTPError):
        words = f"it answered {error.status_code}."
    return peer.clean(words or error.message)


def _message(body: object) -> str:
    if not isinstance(body, dict):
        return ""
    fields = cast(dict[str, Any], body)
    for key in ("error", "Error"):
        if isinstance(fields.get(key), dict):
            return _message(fields[key])
    found = fields.get("message") or fields.get("Message") or fields.get("detail") or ""
    return found if isinstance(found, str) else ""


def _with(made: AgentHostError, error: ModelAPIError) -> AgentHostError:
    if isinstance(error, ModelHTTPError):
        made.details = {**made.details, "status": error.status_code}
        request = (error.headers or {}).get("request-id") or (error.headers or {}).get("x-request-id")
        if request and request.isprintable():
            made.details["request_id"] = request[:100]
    return made
