"""How a host does: what the engine tells goes to the log, into figures, and into traces where they are exported."""

import asyncio
import os
import socket
from collections.abc import Mapping

from agenthost import __version__
from agenthost.core.errors import Unavailable
from agenthost.core.keeping import Keeping
from agenthost.core.telling import Committed
from agenthost.engine.engine import Engine
from agenthost.engine.parts import Log
from agenthost.host.logs import event_line
from agenthost.machine.ledger import Ledger
from agenthost.telemetry.ear import Ear
from agenthost.telemetry.figures import Figures
from agenthost.telemetry.settings import TelemetrySettings
from agenthost.telemetry.tally import Labels, Sample
from agenthost.telemetry.tracer import Exporter, Load, StandsFor, Tracer


class Watch:
    """Made once by a host. `figures` are open to whoever has some to add."""

    def __init__(self, figures: Figures, keeping: Keeping, log: Log) -> None:
        self.figures = figures
        self._keeping = keeping
        self._log = log
        self._ear = Ear(figures)
        self._tracer: Tracer | None = None
        figures.gauge("agenthost_build", "Which version runs.", "version", read=lambda: {(__version__,): 1.0})

    def of(self, engine: Engine, machine: Ledger) -> None:
        """Tell of an engine's queues and the machine too."""
        slots = engine.slots
        self.figures.gauge(
            "agenthost_queue_running",
            "Tasks that have a slot, by queue.",
            "queue",
            read=lambda: _queues({key: taken for key, (taken, _, _) in slots.counts().items()}),
        )
        self.figures.gauge(
            "agenthost_queue_waiting",
            "Tasks that wait for a slot, by queue.",
            "queue",
            read=lambda: _queues({key: waiting for key, (_, waiting, _) in slots.counts().items()}),
        )
        self.figures.gauge(
            "agenthost_machine_waiting",
            "Runs and models that wait for memory or processors.",
            read=lambda: {(): float(len(machine.waiting()))},
        )

    async def begin(self) -> None:
        """Learn how many tasks there are, before the engine starts."""
        self._ear.begin(await self._keeping.open_tasks())

    def hear(self, done: Committed) -> None:
        """A step is in the journal."""
        for recorded in done.events:
            event_line(self._log, recorded, done.name)
        self._ear.hear(done)
        if self._tracer is not None:
            self._tracer.hear(done)

    async def trace(self, settings: TelemetrySettings, load: Load, stands_for: StandsFor) -> Tracer | None:
        """Export traces from now on, where that is set; what is to be run for it. Raises Unavailable where the library
        isn't installed and `[telemetry]` asks for it."""
        if not settings.exported(os.environ):
            return None
        try:
            exporter = await asyncio.to_thread(_exporter, settings)
        except ImportError as error:
            if settings.endpoint:
                raise Unavailable(
                    f"traces can't be exported: a library isn't installed ({error.name}). Run: pip install "
                    "'agenthost[otel]', or take `endpoint` out of [telemetry]"
                ) from None
            self._log.warning("no traces", error="OTEL_* is set; to export them: pip install 'agenthost[otel]'")
            return None
        self._tracer = Tracer(exporter, load, stands_for, settings.content, self.figures.untraced)
        return self._tracer

    async def close(self) -> None:
        """Send what is left; for some seconds at most."""
        if self._tracer is not None:
            tracer, self._tracer = self._tracer, None
            await tracer.close()

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """All figures for an `Accept` header, and the content type."""
        held = await self._keeping.held_tasks()
        values: dict[Labels, float] = {("dead-letter",): 0.0, ("paused",): 0.0}
        values |= {(hold,): float(count) for hold, count in held.items()}
        samples = [
            *self.figures.samples(),
            Sample(
                "gauge",
                "agenthost_tasks_held",
                "Tasks that can't go on (dead-letter) or rest (paused), by hold.",
                ("hold",),
                values,
            ),
        ]
        return await asyncio.to_thread(_expose, samples, accept)


def _queues(counts: Mapping[str, int]) -> dict[Labels, float]:
    return {("tasks",): 0.0} | {(key or "tasks",): float(count) for key, count in counts.items()}


def _exporter(settings: TelemetrySettings) -> Exporter:
    from agenthost.telemetry.otlp import Otlp

    return Otlp(settings, __version__, f"{socket.gethostname()}:{os.getpid()}")


def _expose(samples: list[Sample], accept: str) -> tuple[bytes, str]:
    # Imported when it is first asked for, in a thread: it takes a tenth of a second.
    from agenthost.telemetry.prometheus import expose

    return expose(samples, accept)
