"""The door of prometheus-client: figures as Prometheus and OpenMetrics write them, with those of the process."""

import gc
from collections.abc import Iterator, Sequence

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from agenthost.telemetry.tally import Sample


class _Taken(Collector):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._samples)


def expose(samples: Sequence[Sample], accept: str) -> tuple[bytes, str]:
    """The text for an `Accept` header, and its content type. Reads files of /proc: not for an event loop."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Taken(samples))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Taken([_kept()]))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def _kept() -> Sample:
    values = {(str(number),): float(count) for number, count in enumerate(gc.get_count())}
    return Sample(
        "gauge", "agenthost_gc_waiting", "Allocations since a generation was collected.", ("generation",), values
    )


def _metric(sample: Sample) -> Metric:
    if sample.kind == "histogram":
        made = HistogramMetricFamily(sample.name, sample.help, labels=sample.labels)
        for labels, (counts, total) in sample.spreads.items():
            made.add_metric(labels, _buckets(sample.bounds, counts), total)
        return made
    family = CounterMetricFamily if sample.kind == "counter" else GaugeMetricFamily
    made = family(sample.name, sample.help, labels=sample.labels)
    for labels, value in sample.values.items():
        made.add_metric(labels, value)
    return made


def _buckets(bounds: tuple[float, ...], counts: tuple[int, ...]) -> list[tuple[str, float]]:
    so_far = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*map(float, bounds), "+Inf"), counts, strict=True):
        so_far += count
        found.append((str(bound), so_far))
    return found
