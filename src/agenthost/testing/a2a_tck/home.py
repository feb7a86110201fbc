"""The agent as a manifest with a script, and the words of its model where it needs one (to take time, to stream)."""

from pathlib import Path

LARGE = 1_200_000
"""Bytes of a file that is too large to go along in an answer, and is named by its URL instead."""

AGENT = f"""\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: tck}}
spec:
  description: Plays what A2A's conformance suites ask for
  instructions: Say what you are told.
  tools: [write_file]
  script: |
    NAMES = [
        "tck-stream-artifact-chunked", "tck-stream-artifact-file", "tck-stream-artifact-text", "tck-stream-ordering-001",
        "tck-stream-chunked", "tck-stream-basic", "tck-stream-001", "tck-stream-002", "tck-stream-003",
        "tck-artifact-file-url", "tck-artifact-text", "tck-artifact-file", "tck-artifact-data",
        "tck-delayed-complete", "tck-complete-task", "tck-long-running", "tck-input-required", "tck-auth-required",
        "tck-multi-turn", "tck-reject-task", "tck-task-failure", "tck-message-response", "tck-cancel",
        "test-resubscribe-message-id",
    ]
    TEXTS = {{
        "tck-complete-task": "Hello from TCK",
        "tck-artifact-text": "Generated text content",
        "tck-message-response": "Direct message response",
        "tck-stream-001": "Stream hello from TCK",
        "tck-stream-002": "Stream message-only response",
        "tck-stream-003": "Stream task lifecycle",
        "tck-stream-basic": "Streamed content",
        "tck-stream-artifact-text": "Streamed text content",
        "tck-stream-ordering-001": "Ordered output",
    }}

    def name_of(message):
        for said in [message["id"], message["text"].strip()]:
            for name in NAMES:
                if said.startswith(name):
                    return name
        return ""

    def on_message(message):
        name = name_of(message)
        if name in TEXTS:
            return TEXTS[name]
        if name == "tck-artifact-data":
            return {{"key": "value", "count": 42}}
        if name in ["tck-artifact-file", "tck-stream-artifact-file"]:
            make_artifact("output.txt", "tck")
            return ""
        if name == "tck-artifact-file-url":
            make_artifact("output.txt", "tck " * {LARGE // 4})
            return ""
        if name == "tck-input-required":
            ask("What else is there to know?")
            return "Hello from TCK"
        if name == "tck-auth-required":
            ask("Who are you?", kind="auth")
            return "Hello from TCK"
        if name == "tck-multi-turn":
            said = ask("Say more, or: done")
            while "done" not in said:
                said = ask("Say more, or: done")
            return "Done after several turns"
        if name in ["tck-reject-task", "tck-task-failure"]:
            raise ValueError("rejected")
        if name in ["tck-delayed-complete", "tck-long-running"]:
            call_model("wait for two seconds")
            return "Done after delay"
        if name == "test-resubscribe-message-id":
            call_model("wait for four seconds")
            return "Done after delay"
        if name == "tck-cancel":
            call_model("wait for ever")
            return "Nobody canceled it"
        if name in ["tck-stream-chunked", "tck-stream-artifact-chunked"]:
            return None
        return "Unhandled: " + message["id"]
"""

PLAYS = """\
rules:
  - when: {says: wait for two seconds}
    reply: {text: waited, delay: 2}
  - when: {says: wait for four seconds}
    reply: {text: waited, delay: 4}
  - when: {says: wait for ever}
    reply: {text: waited, delay: 3600}
  - reply: {text: "chunk-1 chunk-2 chunk-3", pause: 0.2}
"""


def write_home(folder: Path, grpc_port: int = 0, hosts: tuple[str, ...] = ()) -> None:
    """Write a home whose default agent plays the suites. `hosts`: addresses that push notifications may go to; none is
    any port of this machine, as a suite listens where there is room."""
    manifests = folder / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    (manifests / "tck.yaml").write_text(AGENT)
    plays = folder / "tck-plays.yaml"
    plays.write_text(PLAYS)
    private = ", ".join(f'"{host}"' for host in hosts or ("localhost:*", "127.0.0.1:*"))
    (folder / "agenthost.toml").write_text(
        f'[models]\ndefault = "scripted:{plays.resolve()}"\n\n[a2a]\nagent = "tck"\ngrpc-port = {grpc_port}\n\n'
        f"[network]\nprivate = [{private}]\n"
    )
