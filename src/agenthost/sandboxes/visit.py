"""One run of the launcher's, from its request to its outcome; and one that goes on, as a service."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from agenthost.core.errors import Temporary
from agenthost.core.sandboxes import SandboxOutcome, SandboxRun
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.outlet import Outlet
from agenthost.sandboxes.sockets import SocketConnection
from agenthost.sandboxes.station import Station, pipe
from agenthost.sandboxes.streams import Collector, Feeder
from agenthost.sandboxes.surely import surely

_KILLED = 137


class Visit:
    """One run from its request to its outcome."""

    def __init__(self, station: Station, run: SandboxRun, egress: Egress | None = None) -> None:
        self._station = station
        self._door = station.take()
        self._run = run
        self._egress = egress
        self._limit = ""
        self._stopped = False
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def outcome(self, request: dict[str, Any]) -> SandboxOutcome:
        policy = self._run.policy
        out, out_far = pipe()
        err, err_far = pipe()
        feeder = None
        if self._run.stdin:
            in_far, end = os.pipe()
            feeder = Feeder(end, self._run.stdin)
        else:
            in_far = os.open(os.devnull, os.O_RDONLY)
        streams = [Collector(end, policy.output, self._too_much) for end in (out, err)]
        began = time.monotonic()
        outlet = None
        try:
            try:
                await self._door.ask(request, (in_far, out_far, err_far))
            finally:
                for end in (in_far, out_far, err_far):
                    os.close(end)
            if request["ports"] or request["service"]:
                outlet = await self._opened(began)
            await self._gone(began)
            duration = time.monotonic() - began
            (stdout, cut_out), (stderr, cut_err) = (stream.finish() for stream in streams)
            stderr += self._egress.refused() if self._egress is not None else b""
            return await self._told(SandboxOutcome(0, stdout, stderr, duration, cut=cut_out + cut_err))
        finally:
            if not self._door.gone.done():
                await self._end_it()
            if outlet is not None:
                await outlet.close()
            for stream in streams:
                stream.close()
            if feeder is not None:
                feeder.close()
            self._door.close()
            self._station.refill()

    async def _opened(self, began: float) -> Outlet | None:
        """Take what pid 1 hands over before the run begins: the sockets that its network listens on."""
        try:
            async with asyncio.timeout(self._left(began)):
                ends = await self._door.sockets()
        except TimeoutError:
            return None
        if ends is None:
            return None
        self.begun.set_result(None)
        return Outlet(self._egress, ends) if self._egress is not None else None

    async def connect(self, port: int) -> SocketConnection:
        """A connection to a port of the run's own loopback. Raises ConnectionRefusedError."""
        side = await self._door.socket()
        try:
            await asyncio.get_running_loop().sock_connect(side, ("127.0.0.1", port))
        except BaseException:
            side.close()
            raise
        return SocketConnection(side)

    def stop(self) -> None:
        """End it where it still runs."""
        if not self._door.gone.done():
            self._stopped = True
            self._door.kill()

    def _left(self, began: float) -> float:
        return max(began + self._run.policy.timeout - time.monotonic(), 0)

    async def _gone(self, began: float) -> None:
        done, _ = await asyncio.wait([self._door.gone], timeout=self._left(began))
        if not done:
            self._limit = self._limit or "time"
            self._door.kill()
            await asyncio.wait([self._door.gone])

    async def _end_it(self) -> None:
        """Cancelled: kill the run and stay until nothing of it is left, however often we are cancelled."""
        self._door.kill()
        while not self._door.gone.done():
            try:
                await asyncio.wait([self._door.gone])
            except asyncio.CancelledError:
                continue

    def _too_much(self) -> None:
        self._limit = self._limit or "output"
        self._door.kill()

    async def _told(self, seen: SandboxOutcome) -> SandboxOutcome:
        answer = self._door.answer()
        status = self._door.gone.result()
        if "error" in answer:
            trace: str = answer["error"].strip()
            raise Temporary(
                f"The sandbox could not be made for this run: {trace.splitlines()[-1]}", code="sandbox", trace=trace
            )
        limit: str = answer.get("limit") or self._limit
        code: int = answer.get("exit", _KILLED)
        if not answer and not limit and not self._stopped:
            if status is None:
                why = await self._station.ended()
                raise Temporary(f"The sandbox's launcher ended during this run ({why}).", code="sandbox", sent=True)
            if status != 9:
                raise Temporary(f"The sandbox ended without an answer ({self._door.why or status}).", code="sandbox")
            limit = "memory"  # the kernel's own choice when the machine has none left
        if self._limit and "exit" in answer and not answer.get("limit"):
            limit = "" if self._limit == "time" else self._limit  # it ended by itself just before
        return SandboxOutcome(code, seen.stdout, seen.stderr, seen.duration, limit, seen.cut)


class Service:
    """The port `core.ports.SandboxService`: a visit that goes on."""

    def __init__(self, visit: Visit, outcome: "asyncio.Task[SandboxOutcome]") -> None:
        self._visit = visit
        self._outcome = outcome

    @classmethod
    async def begin(cls, visit: Visit, request: dict[str, Any], over: "Callable[[Service], object]") -> "Service":
        """Start it; it runs, or has ended already, when this returns. `over` hears of its end. Raises what keeps it
        from running."""
        outcome = asyncio.get_running_loop().create_task(visit.outcome(request))
        outcome.add_done_callback(_seen)
        try:
            await asyncio.wait([outcome, visit.begun], return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            outcome.cancel()
            await surely(asyncio.wait([outcome]))
            raise
        if not visit.begun.done():
            outcome.result()
        service = cls(visit, outcome)
        outcome.add_done_callback(lambda _: over(service))
        return service

    async def connect(self, port: int) -> SocketConnection:
        return await self._visit.connect(port)

    async def wait(self) -> SandboxOutcome:
        return await asyncio.shield(self._outcome)

    async def stop(self) -> SandboxOutcome:
        self._visit.stop()
        return await asyncio.shield(self._outcome)

    async def end(self) -> None:
        """Stop it, whatever comes of it."""
        self._visit.stop()
        await asyncio.wait([self._outcome])


def _seen(outcome: "asyncio.Task[SandboxOutcome]") -> None:
    """What went wrong is told to who waits; nobody need wait."""
    if not outcome.cancelled():
        outcome.exception()
