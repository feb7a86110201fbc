"""Who is told of each request that is over: the host's figures, and the log."""

import logging
import time

import structlog

from agenthost.faces.http.observed import Answered, Watch
from agenthost.faces.http.streams import Closing
from agenthost.host.host import Host
from agenthost.host.logs import whole_line

_NAME = "agenthost.http"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


def watching(host: Host, closing: Closing) -> list[Watch]:
    """Who is told of each request; streams are counted from now on."""
    figures = host.telling.figures
    figures.gauge("agenthost_http_streams", "Event streams that are open.", read=lambda: {(): float(closing.open)})
    figures.gauge(
        "agenthost_http_followers_dropped",
        "Followers that were let go because they took nothing.",
        read=lambda: {(): float(closing.slow)},
        grows=True,
    )

    def count(answered: Answered) -> None:
        figures.requests.add(answered.route, answered.method, str(answered.status))
        figures.request_seconds.add(answered.seconds, answered.route, answered.method)
        figures.response_bytes.add(answered.route, answered.method, by=answered.size)

    return [count, logged()] if host.settings.telemetry.requests else [count]


def logged() -> Watch:
    """A line in the log for each request; of those that only ask whether the host is there, at `debug`."""
    log, standard = structlog.stdlib.get_logger(_NAME), logging.getLogger(_NAME)

    def watch(answered: Answered) -> None:
        values: dict[str, str | int | float] = {
            "request": answered.id,
            "method": answered.method,
            "route": answered.route,
            "status": answered.status,
            "seconds": round(answered.seconds, 6),
            "bytes": answered.size,
        }
        if answered.who:
            values |= {"who": answered.who, "via": answered.via}
        if answered.task:
            values["task"] = answered.task
        if answered.route in _QUIET:
            log.debug("request", **values)
        elif standard.isEnabledFor(logging.INFO) and not whole_line("request", values, time.time(), _NAME):
            log.info("request", **values)

    return watch
