"""Following a probe of a model. It is not taken up again where its connection breaks: its host has ended it then."""

from collections.abc import AsyncGenerator

import msgspec

from agenthost.client.transport import Broken, Transport, path_of
from agenthost.core.errors import AgentHostError, NewerVersion
from agenthost.core.models import Fitness
from agenthost.wire import sse
from agenthost.wire.bodies import End, ProbeBody, encode
from agenthost.wire.problems import decode_problem

_fitness = msgspec.json.Decoder(Fitness)
_line = msgspec.json.Decoder(str)
_end = msgspec.json.Decoder(End)


async def probing(transport: Transport, name: str, body: ProbeBody) -> AsyncGenerator[str | Fitness]:
    """Lines, then the result. Raises what the host raises, Broken where it or the connection went."""
    reader = sse.Reader()
    headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    async with transport.stream(path_of("models", name, "probe"), "POST", headers=headers, data=encode(body)) as pieces:
        async for piece in pieces:
            for frame in reader.feed(piece):
                if frame.event == sse.END and _end.decode(frame.data).reason == "done":
                    return
                item = _item(frame)
                if item is not None:
                    yield item
    raise Broken(f"the host ended while it probed '{name}'; nothing was kept. Probe it again")


def _item(frame: sse.Frame) -> str | Fitness | None:
    if frame.event == sse.PROBLEM:
        raise decode_problem(frame.data) or AgentHostError("the host ended the probe with an error")
    try:
        if frame.event == sse.LINE:
            return _line.decode(frame.data)
        return _fitness.decode(frame.data) if frame.event == sse.FITNESS else None
    except msgspec.DecodeError as error:
        raise NewerVersion(
            f"the host sends what this client doesn't know ({error}); use a client of the host's version"
        ) from error
