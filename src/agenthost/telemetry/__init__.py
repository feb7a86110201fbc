"""How a host does, in figures and traces: counted from what the engine tells, shown to Prometheus and OpenTelemetry.

The host makes it and hands it on; nothing here decides anything, and nothing waits for it. Counting is plain arithmetic
on dicts. prometheus-client is imported in `prometheus.py` alone, OpenTelemetry in `otlp.py` alone, each when it is used.
"""
