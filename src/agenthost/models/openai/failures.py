"""What can go wrong between us and a provider, in two words and stable codes. Only typed fields decide.

Sources: OpenAI's guide "Error codes"; vLLM (`param: input_tokens`), llama.cpp
(`exceed_context_size_error`) and Ollama for a context that is too long.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

import aiohttp

from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.models.openai.delays import delay_of
from agenthost.models.openai.wire import ErrorBody, json_error

_CONTEXT = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_AUTH = frozenset({"invalid_api_key", "authentication_error", "permission_error", "invalid_authentication"})
_REFUSED = frozenset({"content_policy_violation", "content_filter", "moderation_blocked"})
_NO_MODEL = frozenset({"model_not_found", "not_found_error", "NotFoundError"})
_RATE = frozenset({"rate_limit_exceeded", "rate_limit_error", "slow_down"})
_SERVER = frozenset({"server_error", "internal_server_error", "overloaded_error", "service_unavailable", "api_error"})
_REASONING = frozenset({"reasoning", "reasoning.effort", "reasoning_effort"})
_EFFORT = " Take `reasoning` out of the agent's manifest, or set it to a level that this model has."
_LONGEST = 500  # characters of a provider's own words that we repeat
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Peer:
    """Who is on the other side, for messages. It knows what is secret only to keep it out of them."""

    __slots__ = ("_secrets", "key_setting", "keyed", "model", "name", "url", "url_setting")

    def __init__(
        self, name: str, model: str, url: str, settings: tuple[str, str], secrets: Iterable[str], *, keyed: bool
    ) -> None:
        self.name = name
        self.model = model
        self.url = url
        self.key_setting, self.url_setting = settings
        self._secrets = tuple(sorted((secret for secret in secrets if len(secret) >= 4), key=len, reverse=True))
        self.keyed = keyed

    def __repr__(self) -> str:
        return f"Peer({self.name!r}, {self.url!r})"

    def clean(self, text: str) -> str:
        """A provider's words, without secrets and control characters, and not endless."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def answered(status: int, headers: Mapping[str, str], content: bytes, peer: Peer, now: float) -> AgentHostError:
    """What a response that is not 200 means. `now`: seconds since the epoch, for dates in Retry-After."""
    error = json_error(content)
    delay = delay_of(headers, now)
    typed = _typed(error, peer, delay, False) if error is not None else None
    if typed is not None:
        return _with(typed, headers, status)
    said = _said(error, status, peer)
    if status == 429:
        result: AgentHostError = Temporary(f"{peer.name} asks to slow down: {said}", code="rate-limit", delay=delay)
    elif status in (401, 403):
        result = _auth(peer, said)
    elif status == 407:  # a proxy's answer to a request that isn't tunnelled
        result = _proxy_answered(status, peer)
    elif status == 402:
        result = _quota(peer, said)
    elif status in (404, 405) or 300 <= status < 400:
        result = _not_there(error, headers, peer, status)
    elif status in (408, 409, 425) or status >= 500:
        # A gateway that lost its patience may have a finished answer behind it.
        sent = status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
        result = Temporary(f"{peer.name} failed: {said}", code="provider-error", delay=delay, sent=sent)
    else:
        advice = _EFFORT if error is not None and error.param in _REASONING else ""
        result = Permanent(f"{peer.name} refused the request: {said}{advice}", code="bad-request")
    return _with(result, headers, status)


def reported(error: ErrorBody, peer: Peer) -> AgentHostError:
    """What an error inside an answer means: the request was taken, and may be charged for."""
    typed = _typed(error, peer, None, True)
    if typed is not None:
        return typed
    if error.code.isdigit() and 400 <= int(error.code) < 500:
        return Permanent(f"{peer.name} refused the request: {peer.clean(error.message)}", code="bad-request")
    return Temporary(
        f"{peer.name} broke off its answer: {peer.clean(error.message) or error.code or 'it gave no reason'}",
        code="provider-error",
        sent=True,
    )


def bad_answer(reason: str, peer: Peer) -> Temporary:
    """The answer isn't one."""
    return Temporary(
        f"{peer.name} at {peer.url} sent an answer that can't be used: {peer.clean(reason)}. If it goes on, check that "
        f"{peer.url_setting} is the address of an OpenAI-compatible API.",
        code="bad-answer",
        sent=True,
    )


def cut(peer: Peer) -> Temporary:
    """The answer ended in the middle."""
    return Temporary(f"{peer.name} broke off in the middle of its answer.", code="cut", sent=True)


def transport(error: BaseException, peer: Peer) -> AgentHostError:
    """What an error of the connection means. `sent` is False only where no request can have gone out."""
    for kinds, make in _TRANSPORT:
        if isinstance(error, kinds):
            return make(error, peer)
    return Temporary(f"The connection to {peer.name} at {peer.url} broke.", code="disconnected", sent=True)


def _certificate(error: BaseException, peer: Peer) -> AgentHostError:
    return Permanent(
        f"{peer.name} at {peer.url} shows a certificate that is not trusted here. If it is your own, name its CA "
        "in the provider's ca-file or in SSL_CERT_FILE.",
        code="tls",
    )


def _tls(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(f"No secure connection to {peer.name} at {peer.url} could be made.", code="tls")


def _proxy_refused(error: BaseException, peer: Peer) -> AgentHostError:
    return _proxy_answered(getattr(error, "status", 0), peer)


def _proxy_answered(status: int, peer: Peer) -> AgentHostError:
    if status in (401, 403, 407):
        return Permanent(
            f"The proxy refused the way to {peer.name} ({status}). Check the user name and password in "
            "HTTPS_PROXY or in the provider's proxy.",
            code="auth",
        )
    return Temporary(f"The proxy could not reach {peer.name} (it answered {status}).", code="unreachable")


def _no_proxy(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(
        f"The proxy on the way to {peer.name} can't be reached. Check HTTPS_PROXY, HTTP_PROXY or the provider's proxy.",
        code="unreachable",
    )


def _no_name(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(
        f"The address of {peer.name}, {peer.url}, is not known here (DNS). Check {peer.url_setting} and the network.",
        code="unreachable",
    )


def _refused_connection(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(
        f"{peer.name} can't be reached at {peer.url}. Check that it runs, and {peer.url_setting}.", code="unreachable"
    )


def _slow_connection(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(f"Connecting to {peer.name} at {peer.url} took too long.", code="timeout")


def _silent(error: BaseException, peer: Peer) -> AgentHostError:
    return Temporary(
        f"{peer.name} sent nothing for too long. A slow model needs a longer idle-timeout.", code="timeout", sent=True
    )


def _cut_short(error: BaseException, peer: Peer) -> AgentHostError:
    return cut(peer)


_Make = Callable[[BaseException, Peer], AgentHostError]
_TRANSPORT: tuple[tuple[type[BaseException], _Make], ...] = (  # the first that fits counts
    (aiohttp.ClientConnectorCertificateError, _certificate),
    (aiohttp.ClientSSLError, _tls),
    (aiohttp.ClientHttpProxyError, _proxy_refused),
    (aiohttp.ClientProxyConnectionError, _no_proxy),
    (aiohttp.ClientConnectorDNSError, _no_name),
    (aiohttp.ClientConnectorError, _refused_connection),
    (aiohttp.ConnectionTimeoutError, _slow_connection),
    (TimeoutError, _silent),
    (aiohttp.ClientPayloadError, _cut_short),
)


def _typed(error: ErrorBody, peer: Peer, delay: float | None, sent: bool) -> AgentHostError | None:
    """What the typed fields of an error mean, whatever the status; None where they don't tell."""
    words = {error.code, error.type}
    said = peer.clean(error.message) or error.code or error.type
    if words & _CONTEXT or (error.param == "input_tokens" and error.type == "BadRequestError"):
        return Permanent(f"The request is longer than {peer.model} can take: {said}", code="context-too-long")
    if words & _QUOTA:
        return _quota(peer, said)
    if words & _AUTH:
        return _auth(peer, said)
    if words & _REFUSED:
        return Permanent(f"{peer.name} refused to answer this: {said}", code="refused")
    if words & _NO_MODEL:
        return _no_model(peer, said)
    if words & _RATE:
        return Temporary(f"{peer.name} asks to slow down: {said}", code="rate-limit", delay=delay, sent=False)
    if sent and words & _SERVER:
        return Temporary(f"{peer.name} failed: {said}", code="provider-error", sent=True)
    return None


def _auth(peer: Peer, said: str) -> Permanent:
    advice = f"Set {peer.key_setting} to a key that may use {peer.model}."
    verb = "refused the key" if peer.keyed else "wants a key"
    return Permanent(f"{peer.name} {verb}: {said} {advice}", code="auth")


def _quota(peer: Peer, said: str) -> Permanent:
    return Permanent(f"The account at {peer.name} has no money or quota left: {said}", code="quota")


def _no_model(peer: Peer, said: str) -> Permanent:
    return Permanent(
        f"{peer.name} has no model '{peer.model}': {said} See which it has with `agenthost model list`.",
        code="not-found",
    )


def _not_there(error: ErrorBody | None, headers: Mapping[str, str], peer: Peer, status: int) -> Permanent:
    """404 and the like: a model that is not there, or an address that is no OpenAI's API at all."""
    if status == 404 and error is not None and error.message and (error.type or error.code):
        return _no_model(peer, peer.clean(error.message))
    elsewhere = headers.get("location", "")
    hint = f" It points to {peer.clean(elsewhere)}." if 300 <= status < 400 and elsewhere else ""
    return Permanent(
        f"{peer.url} answered {status}: this does not look like OpenAI's API.{hint} Check {peer.url_setting}; "
        "such an address mostly ends in /v1.",
        code="not-found",
    )


def _said(error: ErrorBody | None, status: int, peer: Peer) -> str:
    if error is not None and error.message:
        return peer.clean(error.message)
    try:
        return f"it answered {status} {HTTPStatus(status).phrase}."
    except ValueError:
        return f"it answered {status}."


def _with(error: AgentHostError, headers: Mapping[str, str], status: int) -> AgentHostError:
    error.details = {**error.details, "status": status}
    request = headers.get("x-request-id")
    if request:
        error.details["request_id"] = _CONTROL.sub(" ", request)[:100]
    return error
