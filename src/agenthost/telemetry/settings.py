"""What a person sets of it, `[telemetry]`."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Struct

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TelemetrySettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How the host tells how it does.

    `metrics_open`: `/metrics` needs no token from this machine. `requests`: whether requests are logged. `endpoint`: where
    an OTLP receiver is (HTTP, such as `http://localhost:4318`); empty: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, and
    nothing is exported where that says nothing. `headers` go with each export. `service`: this host's name there.
    `sample`: the share of traces that is exported. `content`: what was said goes into spans. `propagate`: requests to
    models carry the trace. `interval`: seconds between two exports of metrics.
    """

    metrics_open: bool = False
    requests: bool = True
    endpoint: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    service: str = ""
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    content: bool = False
    propagate: bool = True
    interval: Annotated[float, msgspec.Meta(ge=1)] = 30.0

    def exported(self, environ: Mapping[str, str]) -> bool:
        """Whether anything is exported, by these settings or by OpenTelemetry's own variables."""
        if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return False
        return bool(self.endpoint) or any(environ.get(name) for name in _ENDPOINTS)


def propagated(settings: TelemetrySettings, environ: Mapping[str, str]) -> float | None:
    """The share of traces that is kept, where requests that go out carry theirs; None where they don't."""
    return settings.sample if settings.propagate and settings.exported(environ) else None
