"""One request to one of the provider's other endpoints, and what its failing means."""

import re
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from agenthost.core.errors import AgentHostError, NotFound, Permanent, Temporary, Unavailable
from agenthost.models.attempts import Attempts
from agenthost.models.openai import failures
from agenthost.models.openai.connection import Sessions
from agenthost.models.openai.reading import content_of, decoded
from agenthost.models.openai.wire import BadAnswer, Refused, json_error
from agenthost.models.settings import OPENAI, Provider

_MOST = 256 * 2**20  # bytes of an answer; a batch's results and long recordings are large
_MISSING = (404, 405, 501)
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._:-]{1,200}")

T = TypeVar("T")


class Upload(NamedTuple):
    """A file in a form."""

    name: str
    content: bytes
    media_type: str


Form = list[tuple[str, str | Upload]]


class Content(NamedTuple):
    """What came: the bytes, and what the server calls them."""

    data: bytes
    media_type: str


class Asking:
    """Sends to the endpoints below `base`. Raises the errors of `core.errors`; `what` names the ability for them."""

    def __init__(
        self,
        base: URL,
        provider: Provider,
        sessions: Sessions,
        attempts: Attempts,
        headers: CIMultiDict[str],
        peer: failures.Peer,
    ) -> None:
        self.base = base
        self.peer = peer
        self.official = base.host == URL(OPENAI).host
        self._settings = provider.settings
        self._sessions = sessions
        self._attempts = attempts
        self._headers = headers.copy()
        self._headers["Accept"] = "*/*"
        del self._headers["Content-Type"]
        idle, connect = self._settings.idle_timeout, self._settings.connect_timeout
        self._timeout = aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=idle)

    async def post(self, what: str, path: str, body: dict[str, Any], tokens: int = 0) -> Content:
        """Send JSON. `tokens`: what the call may use of the provider's limit."""
        headers = {"Content-Type": "application/json"}
        return await self._limited(what, path, BytesIO(msgspec.json.encode(body)), headers, tokens)

    async def post_form(self, what: str, path: str, form: Form) -> Content:
        """Send a form with files (RFC 7578)."""
        data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)  # names as they are, in UTF-8
        for name, value in form:
            if isinstance(value, Upload):
                data.add_field(name, BytesIO(value.content), filename=value.name, content_type=value.media_type)
            else:
                data.add_field(name, value)
        return await self._limited(what, path, data, {}, 0)

    async def get(self, what: str, path: str, query: Mapping[str, str] | None = None, thing: str = "") -> Content:
        """Fetch. `thing`: the id that is looked for; where it isn't there, NotFound is raised."""
        return await self._look(what, "GET", self._url(path).with_query(query or {}), thing)

    async def act(self, what: str, method: str, path: str, thing: str) -> Content:
        """Do something to the thing `thing`, which can be done again without harm."""
        return await self._look(what, method, self._url(path), thing)

    async def fetch(self, url: URL) -> Content:
        """Get what is at an address that the provider gave. Raises Permanent where it is another host's."""
        if url.origin() != self.base.origin():
            raise Permanent(
                f"{self.peer.name} gave its answer as an address of another host ({url.host}), which is not fetched. "
                "Set the server up to give pictures inline (b64_json), or at its own address.",
                code="bad-answer",
            )
        return await self._look("such a picture", "GET", url, url.name or "?")

    def thing(self, what: str, id: str) -> str:
        """`id` as it may stand in a path. Raises NotFound for what can be no id."""
        if not _ID.fullmatch(id):
            raise NotFound(f"{self.peer.name} has no {what} {id!r}: that can't be an id. List what is there.")
        return id

    def read(self, content: Content, decoder: "msgspec.json.Decoder[T]") -> T:
        """The answer as JSON. Raises what an error in it means, or Temporary (`bad-answer`)."""
        try:
            return self._decoded(content, decoder)
        except BadAnswer as error:
            problem: AgentHostError = failures.bad_answer(str(error), self.peer)
        except Refused as error:
            problem = failures.reported(error.error, self.peer)
        raise problem

    def bad(self, reason: str) -> Temporary:
        """What is raised where an answer makes no sense."""
        return failures.bad_answer(reason, self.peer)

    def _decoded(self, content: Content, decoder: "msgspec.json.Decoder[T]") -> T:
        if content.media_type == "text/html" or content.data.lstrip()[:1] == b"<":
            raise BadAnswer("it is an HTML page instead of JSON")
        return decoded(decoder, content.data, reports=True)

    def _url(self, path: str) -> URL:
        return self.base.with_path(f"{self.base.path.rstrip('/')}/{path}")

    async def _limited(self, what: str, path: str, data: Any, headers: dict[str, str], tokens: int) -> Content:
        async with self._attempts.attempt(tokens):
            return await self._sent(what, "POST", self._url(path), "", data, headers)

    async def _look(self, what: str, method: str, url: URL, thing: str) -> Content:
        """What costs nothing and changes nothing twice, so that a failed try may always be repeated."""
        try:
            return await self._sent(what, method, url, thing, None, {})
        except Temporary as error:
            problem = Temporary(error.message, code=error.code, delay=error.delay, **error.details)
        raise problem

    async def _sent(self, what: str, method: str, url: URL, thing: str, data: Any, headers: dict[str, str]) -> Content:
        session = await self._sessions.session(self.base, self._settings.proxy, self._settings.ca_file)
        try:
            async with session.request(
                method,
                url,
                data=data,
                headers={**self._headers, **headers},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                content = await content_of(response, _MOST)
                if response.status in (200, 201):
                    return Content(content, response.content_type)
                if response.status in _MISSING and (missing := self._missing(what, thing, content)) is not None:
                    raise missing
                raise failures.answered(response.status, response.headers, content, self.peer, time.time())
        except BadAnswer as error:
            problem: AgentHostError = failures.bad_answer(str(error), self.peer)
        except (aiohttp.ClientError, OSError) as error:
            problem = failures.transport(error, self.peer)
        # Raised out here so that it has no context: an error of aiohttp's can hold the request's headers.
        raise problem

    def _missing(self, what: str, thing: str, content: bytes) -> AgentHostError | None:
        """What a 404 and the like mean: no such thing, no such ability; None where it is the model that isn't there."""
        error = json_error(content)
        said = self.peer.clean(error.message) if error is not None else ""
        if thing and error is not None and (error.type or error.code):
            return NotFound(f"{self.peer.name} has no {what} '{thing}': {said}")
        if error is not None and (error.code == "model_not_found" or error.type == "NotFoundError"):
            return None
        words = f" It says: {said}" if said else ""
        return Unavailable(
            f"the provider {self.peer.name} has no {what} (asked for {self.peer.model}).{words} Name a model of a "
            f"provider that has, or set {self.peer.url_setting} to a server that has."
        )
