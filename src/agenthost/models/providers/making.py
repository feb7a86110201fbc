"""Makes pydantic-ai's models: the provider by name with our key, address, proxy and time-outs, and its HTTP client.

Constructing an SDK's client reads files and certificates, so it is done in a thread. What was opened is closed here.
"""

import asyncio
import inspect
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider as TheirProvider
from pydantic_ai.providers import infer_provider_class
from yarl import URL

from agenthost.core.errors import BadInput, Unavailable
from agenthost.models.openai.connection import base_url, proxy_for
from agenthost.models.providers.names import INSTALL
from agenthost.models.settings import Provider

_LEGACY = frozenset({"cohere", "groq"})
"""Their SDKs take a client of httpx, all others one of httpx2."""

_KEYS = ("api_key", "token")
_ADDRESSES = ("base_url", "api_host", "azure_endpoint", "api_base")


class Clients:
    """Hands out providers, one for each that is set and its key. For one event loop."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._made: dict[tuple[str, str], TheirProvider[Any]] = {}
        self._stack = AsyncExitStack()

    async def model(self, resolved: Provider, kind: str, name: str) -> Model:
        """The model `name` of pydantic-ai's provider `kind`. Raises Unavailable and BadInput."""
        provider = await self.provider(resolved, kind)
        try:
            return await asyncio.to_thread(infer_model, f"{kind}:{name}", lambda _: provider)
        except UserError as error:
            raise BadInput(f"'{resolved.name}:{name}' can't be used: {error.message}") from None

    async def provider(self, resolved: Provider, kind: str) -> TheirProvider[Any]:
        """pydantic-ai's provider `kind`. Raises Unavailable and BadInput."""
        key = (resolved.name, resolved.key)  # a key that was refused may have been set anew
        if key not in self._made:
            made = await asyncio.to_thread(self._provider, resolved, kind)
            if key in self._made:  # another call made it meanwhile
                await made.__aexit__(None, None, None)
            else:
                self._made[key] = await self._stack.enter_async_context(made)
        return self._made[key]

    async def close(self) -> None:
        """End the connections."""
        self._made.clear()
        await self._stack.aclose()

    def _provider(self, resolved: Provider, kind: str) -> TheirProvider[Any]:
        try:
            made = infer_provider_class(kind)
        except ImportError as error:
            missing = error.name or getattr(error.__cause__, "name", None) or "its SDK"
            raise Unavailable(
                f"the provider '{kind}' needs a library that isn't there ({missing}): {INSTALL}"
            ) from None
        known = inspect.signature(made.__init__).parameters
        given: dict[str, Any] = dict(resolved.settings.options)
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BadInput(
                f"[models.providers.{resolved.name}.options] has no '{unknown[0]}'; '{kind}' takes: "
                + ", ".join(sorted(name for name in known if name not in ("self", "http_client", *_KEYS)))
            )
        self._address(resolved, kind, known, given)
        key = next((name for name in _KEYS if name in known), "")
        if key and resolved.key:
            given[key] = resolved.key
        if kind == "bedrock":
            given.setdefault("aws_read_timeout", resolved.settings.idle_timeout)
            given.setdefault("aws_connect_timeout", resolved.settings.connect_timeout)
            return _single_attempt(_constructed(made, resolved, given), kind)
        if "http_client" in known and kind != "huggingface":
            client = self._http(resolved, kind)
            given["http_client"] = client
            self._stack.push_async_callback(client.aclose)
            if kind == "cohere":
                address = given.pop("cohere_client", None)
                given["cohere_client"] = _cohere(address, resolved, given.pop("http_client"))
                given.pop("api_key", None)
        return _single_attempt(_constructed(made, resolved, given), kind)

    def _address(self, resolved: Provider, kind: str, known: Mapping[str, Any], given: dict[str, Any]) -> None:
        address = resolved.settings.base_url
        if not address:
            return
        address = str(base_url(address, resolved.url_setting)).rstrip("/")
        if kind == "cohere":  # takes it from an environment variable only; its SDK takes it as it should be
            given["cohere_client"] = address
            return
        field = next((name for name in _ADDRESSES if name in known), "")
        if not field:
            raise BadInput(f"{resolved.url_setting} can't be set: pydantic-ai's provider '{kind}' has a fixed address")
        given[field] = URL(address).authority if field == "api_host" else address

    def _http(self, resolved: Provider, kind: str) -> Any:
        settings = resolved.settings
        library: Any = import_module("httpx" if kind in _LEGACY else "httpx2")
        url = URL(settings.base_url or "https://api.invalid")
        proxy = proxy_for(url, settings.proxy, self._environ)
        timeout = library.Timeout(settings.idle_timeout, connect=settings.connect_timeout)
        limits = library.Limits(max_connections=None, max_keepalive_connections=100)
        return library.AsyncClient(
            timeout=timeout,
            limits=limits,
            proxy=str(proxy) if proxy is not None else None,
            verify=self._ssl(settings.ca_file),
            trust_env=False,
            headers={"User-Agent": "AgentHost", **settings.headers},
        )

    def _ssl(self, ca_file: str) -> ssl.SSLContext:
        file = ca_file or self._environ.get("SSL_CERT_FILE", "")
        context = ssl.create_default_context()
        if not file:
            return context
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError):
            setting = "the provider's ca-file" if ca_file else "SSL_CERT_FILE"
            raise BadInput(f"{setting} ({file}) can't be used. Give a file of PEM certificates.") from None
        return context


def _constructed(made: type[TheirProvider[Any]], resolved: Provider, given: dict[str, Any]) -> TheirProvider[Any]:
    try:
        return made(**given)
    except (UserError, ValueError, TypeError) as error:
        # Its words may repeat what it was given.
        words = str(error).replace(resolved.key, "***") if resolved.key else str(error)
    raise Unavailable(f"the provider '{resolved.name}' can't be used: {words}")


def _single_attempt(provider: TheirProvider[Any], kind: str) -> TheirProvider[Any]:
    """Calling again is the engine's, and each attempt is to be in the ledger: so what an SDK does by itself is turned off in
    its client, for embeddings and lists too, where no setting of pydantic-ai's reaches it."""
    if kind == "xai":  # its channel is made by the first call, in the loop; an unavailable server may be tried again
        return provider
    client: Any = provider.client
    if kind == "bedrock":  # botocore's `retries.standard.register_retry_handler`
        service = "bedrock-runtime"
        client.meta.events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
    elif hasattr(client, "max_retries"):  # of OpenAI, Anthropic and Groq, whose SDKs are made alike
        client.max_retries = 0
    return provider


def _cohere(address: str | None, resolved: Provider, client: Any) -> Any:
    from cohere import AsyncClientV2

    # The address may be None: then it is Cohere's own.
    return AsyncClientV2(api_key=resolved.key or "none", httpx_client=client, base_url=address, max_retries=0)
