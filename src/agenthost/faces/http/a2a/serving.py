"""The SDK's dispatchers over the host: JSON-RPC and HTTP+JSON for 1.0 and 0.3, and the cards."""

from collections.abc import Callable

from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.server.routes.jsonrpc_dispatcher import JsonRpcDispatcher
from a2a.server.routes.rest_routes import create_rest_routes
from a2a.types.a2a_pb2 import AgentCard
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, NotFound, nearest
from agenthost.faces.http.a2a.agents import Agents, default_of, everything
from agenthost.faces.http.a2a.answers_03 import Endpoint, rest_03, rpc_03
from agenthost.faces.http.a2a.cards import Cards, etag_of
from agenthost.faces.http.a2a.handler import HostHandler, PushConfigs
from agenthost.faces.http.a2a.passed_over import problem_of_rest, problem_of_rpc
from agenthost.faces.http.a2a.routes import refusal
from agenthost.faces.http.a2a.seats import REFUSED, SeatBuilder, base_of
from agenthost.faces.http.bodies import TooLarge, read
from agenthost.faces.http.streams import Closing

MOST_BODY = 48 * 1024 * 1024
"""Bytes that a request may have: a file of the size that the host takes, in base64, and some words."""


class Serving:
    """Serves requests once the SDK is loaded. `url`: where the host is reached, empty for where a request says. `closing`
    says that the host stops."""

    def __init__(self, default: str, url: str, cards: Cards, pushes: PushConfigs | None, closing: Closing) -> None:
        self._default = default
        self._url = url.rstrip("/")
        self._cards = cards
        self.handler: RequestHandler = HostHandler(Agents(default), self._extended, pushes, closing)
        builder = SeatBuilder(self._url)
        self._rpc = JsonRpcDispatcher(self.handler, builder, enable_v0_3_compat=True)
        made = create_rest_routes(self.handler, builder, enable_v0_3_compat=True)
        # The SDK's last route takes any path for a tenant's; ours are addresses.
        self._rest = [route for route in made if isinstance(route, Route)]

    async def rpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        """JSON-RPC."""
        await self._answer(rpc_03(self._rpc.handle_requests), scope, receive, send, problem_of_rpc)

    async def rest(self, scope: Scope, receive: Receive, send: Send, below: str) -> None:
        """HTTP+JSON. `below`: the path below the agent."""
        inner: Scope = {**scope, "path": f"/{below}", "root_path": "", "path_params": {}}
        allowed: list[str] = []
        for route in self._rest:
            match, found = route.matches(inner)
            if match is Match.FULL:
                given = {**scope["path_params"], **found["path_params"]}
                endpoint = rest_03(route.endpoint) if below.startswith("v1/") else route.endpoint
                await self._answer(endpoint, {**scope, "path_params": given}, receive, send, problem_of_rest)
                return
            if match is Match.PARTIAL:
                allowed += sorted(route.methods or ())
        response = refusal(NotFound("A2A has no such path, or not for this method"), 405 if allowed else 404)
        if allowed:
            response.headers["Allow"] = ", ".join(allowed)
        await response(scope, receive, send)

    async def _answer(
        self,
        endpoint: Endpoint,
        scope: Scope,
        receive: Receive,
        send: Send,
        look: Callable[[Request, bytes], Response | None],
    ) -> None:
        """Answer a request whose body was read first, and no more of it than is allowed. `look` refuses what the SDK would
        pass over."""
        try:
            body = await read(Request(scope, receive), MOST_BODY)
        except TooLarge as error:
            await refusal(error, 413)(scope, receive, send)
            return
        problem = look(Request(scope), body)
        if problem is not None:
            await problem(scope, receive, send)
            return
        refused: list[AgentHostError] = scope.setdefault(REFUSED, [])
        response = await endpoint(Request(scope, _replay(body)))
        if refused:
            response = refusal(refused[0], 403)
        await response(scope, receive, send)

    # --- cards ------------------------------------------------------------------------------------

    async def card(self, api: HostApi, request: Request) -> Response:
        """The public card of the agent that the path names, or of the default one."""
        known = await everything(api)
        agent = str(request.path_params.get("agent", ""))
        if agent and agent not in known:
            raise NotFound(f"there is no agent or workflow '{agent}'. {nearest(agent, list(known))}")
        base = base_of(request, self._url)
        name = agent or default_of(self._default, known)
        card = await self._cards.card(api, name, f"/a2a/{agent}" if agent else "/a2a", base)
        told = self._cards.served(card, base)
        headers = {"ETag": etag_of(told), "Cache-Control": "public, max-age=60", "Vary": "Host"}
        if request.headers.get("if-none-match", "").removeprefix("W/") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return JSONResponse(told, headers=headers)

    async def keys(self, request: Request) -> Response:
        """The key that cards and notifications are signed with."""
        headers = {"Cache-Control": "public, max-age=60"}
        return JSONResponse(self._cards.keys(), headers=headers, media_type="application/jwk-set+json")

    async def _extended(self, api: HostApi, name: str, base: str) -> AgentCard:
        card = await self._cards.card(api, name, f"/a2a/{name}", base, extended=True)
        return self._cards.sign(card, base)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
