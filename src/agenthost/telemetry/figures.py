"""Every figure of a host, by what it tells. docs/observability.md lists them; dashboards and alerts lean on the names."""

from collections.abc import Callable, Mapping

from agenthost.telemetry.tally import LONG, Count, Figure, Gauge, Labels, Sample, Spread


class Figures:
    """The figures of one host in one process. They begin at 0 with it."""

    def __init__(self) -> None:
        self.requests = Count(
            "agenthost_http_requests", "Requests that were answered, by route template.", "route", "method", "status"
        )
        self.request_seconds = Spread(
            "agenthost_http_request_duration_seconds", "From a request's head to its answer's end.", "route", "method"
        )
        self.response_bytes = Count("agenthost_http_response_bytes", "Bytes of answers' bodies.", "route", "method")
        self.tasks_begun = Count("agenthost_tasks_begun", "Tasks that were made, children too.", "name")
        self.tasks_ended = Count("agenthost_tasks_ended", "Tasks that have ended.", "name", "outcome")
        self.task_seconds = Spread(
            "agenthost_task_duration_seconds", "From a task's making to its end.", "name", bounds=LONG
        )
        self.steps = Count("agenthost_steps", "Steps of tasks that were committed.")
        self.events = Count("agenthost_events", "Events that were committed, by kind.", "kind")
        self.model_calls = Count(
            "agenthost_model_calls", "Attempts at model calls; outcome is ok, or a failure's code.", "model", "outcome"
        )
        self.model_seconds = Spread(
            "agenthost_model_call_duration_seconds", "Of attempts, from when they were journalled.", "model"
        )
        self.model_tokens = Count(
            "agenthost_model_tokens", "Tokens as providers count them; cached and reasoning are parts.", "model", "kind"
        )
        self.model_cost = Count("agenthost_model_cost_dollars", "USD that were settled, by name.", "model", "name")
        self.tool_calls = Count(
            "agenthost_tool_calls", "Tool calls; outcome is ok, error, or a failure's code.", "tool", "outcome"
        )
        self.tool_seconds = Spread("agenthost_tool_call_duration_seconds", "Of tool calls.", "tool")
        self.runs = Count(
            "agenthost_sandbox_runs", "Runs; limit is the one that ended it.", "sandbox", "outcome", "limit"
        )
        self.run_seconds = Spread("agenthost_sandbox_run_duration_seconds", "Of runs, with their waiting.", "sandbox")
        self.commits = Spread(
            "agenthost_store_commit_duration_seconds",
            "Of the store's transactions; its count is that of commits.",
            bounds=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
        )
        self.groups = Spread(
            "agenthost_store_commit_group_size",
            "Writes that were committed together.",
            bounds=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
        )
        self.untraced = Count(
            "agenthost_trace_steps_dropped", "Steps without spans, because there were too many at once."
        )
        self.lag = Spread(
            "agenthost_event_loop_lag_seconds",
            "How much later than due the event loop came to a timer.",
            bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
        )
        self._all: list[Figure] = [figure for figure in vars(self).values() if isinstance(figure, Count | Spread)]

    def gauge(
        self, name: str, help: str, *labels: str, read: Callable[[], Mapping[Labels, float]], grows: bool = False
    ) -> None:
        """Add a figure that is looked up when it is wanted. One of the same name gives way to it."""
        self._all = [figure for figure in self._all if figure.name != name]
        self._all.append(Gauge(name, help, *labels, read=read, grows=grows))

    def committed(self, jobs: int, seconds: float) -> None:
        """A transaction of the store is on disk. Called from its thread."""
        self.commits.add(seconds)
        self.groups.add(jobs)

    def samples(self) -> list[Sample]:
        """All of them, as they are now."""
        return [figure.sample() for figure in self._all]
