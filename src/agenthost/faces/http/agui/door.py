"""A request for a run becomes a run, or a refusal before it begins (spec, "HTTP + Server-Sent Events")."""

from contextlib import suppress
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.access import Caller
from agenthost.core.errors import AgentHostError
from agenthost.faces.http.agui import given
from agenthost.faces.http.agui.finding import Finder
from agenthost.faces.http.agui.run import Run
from agenthost.faces.http.agui.sending import RunStream
from agenthost.faces.http.bodies import MOST_JSON, read
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.streams import Closing, StreamSettings

MOST = 2 * MOST_JSON
"""Bytes of a run's input: the whole conversation, with its pictures as base64."""

MOST_UNSEEN = 1000
"""Threads whose last run was cut off, that are remembered until they come back."""


async def answer_run(request: Request, settings: StreamSettings, closing: Closing, unseen: dict[str, str]) -> Response:
    """The stream of a run. `unseen`: by thread, the task whose run nobody saw to its end. Raises what refuses it."""
    api, caller = api_of(request), caller_of(request)
    agent = str(request.path_params["agent"])
    warnings: list[str] = []
    wanted = given.read(await read(request, MOST), warnings.append)
    props = given.props_of(wanted)
    thread = _thread(caller, agent, wanted.thread_id)
    key = request.headers.get("idempotency-key", "")
    found = await Finder(api, caller, agent, key, wanted, props, warnings.append).find(unseen.get(thread, ""))
    unseen.pop(thread, None)
    run = Run(api, wanted, found, warnings)

    async def left(gone: bool) -> None:
        if not gone and run.told:
            return
        unseen[thread] = run.task
        if len(unseen) > MOST_UNSEEN:
            del unseen[next(iter(unseen))]
        if gone and not run.told and props.cancel_on_disconnect:
            with suppress(AgentHostError):
                await api.cancel(run.task, caller.person, "the front end hung up")

    return cast(Response, RunStream(run.events(), settings, closing, left))


def _thread(caller: Caller, agent: str, thread: str) -> str:
    return "\0".join((caller.namespace, caller.person, agent, thread))
