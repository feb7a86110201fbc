"""The main job on a model of this machine: a real llama.cpp in a child process, a picture that goes through its projector,
answers that a grammar holds to a schema, programs that really run. The words are nonsense; everything else is real."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agenthost.testing.gguf import TinyModel, write_model, write_projector
from tests.product.product import ECHO, PATIENCE, Product, png

SETTINGS = """\
[models]
default = "llamacpp:tiny"
[models.llamacpp]
command = "xllamacpp"
[models.local.tiny]
threads = 1
slots = 2
"""

PROGRAMS = [
    "print(sum(int(line) for line in open('numbers.txt')))",
    "import pathlib; print(len(pathlib.Path('numbers.txt').read_text()))",
]
"""What the grammar lets the coder write. Each fails for real while `numbers.txt` is not there."""

NOTES = {
    "type": "array",
    "minItems": 60,
    "maxItems": 60,
    "items": {"enum": [f"a thought of {n:>2} words" for n in range(30)]},
}
"""Makes an answer of a thousand tokens and a second: long enough to be cut in the middle."""

MANIFESTS = f"""\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: reader}}
spec:
  instructions: Say what the sketch shows.
  maxOutputTokens: 400
  output:
    type: object
    properties: {{title: {{type: string, maxLength: 20}}, input: {{enum: [numbers.txt]}}}}
    required: [title, input]
    additionalProperties: false
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: coder}}
spec:
  instructions: Write the program.
  maxOutputTokens: 3000
  output:
    type: object
    properties: {{notes: {json.dumps(NOTES)}, program: {{enum: {json.dumps(PROGRAMS)}}}}}
    required: [notes, program]
    additionalProperties: false
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: checker}}
spec:
  instructions: Judge the program.
  maxOutputTokens: 400
  output:
    type: object
    properties: {{reason: {{type: string, maxLength: 20}}, pass: {{enum: [true]}}}}
    required: [reason, pass]
    additionalProperties: false
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {{name: job}}
spec:
  input:
    sketch: {{type: file, accept: [image/png]}}
  roles: {{reader: {{agent: reader}}, coder: {{agent: coder}}, checker: {{agent: checker}}}}
  steps:
    - {{id: spec, role: reader, files: input.sketch, prompt: This is the sketch.}}
    - id: code
      role: coder
      needs: [spec]
      prompt: "Write it. Its input is {{{{ steps.spec.data.input }}}}. {{{{ feedback }}}}"
    - id: write
      needs: [code]
      command: |
        cat > main.py <<'END'
        {{{{ steps.code.data.program }}}}
        END
    - {{id: run, needs: [write], command: python main.py, allowFailure: true}}
    - {{id: input, needs: [run], command: "echo 3 > numbers.txt"}}
    - id: check
      role: checker
      needs: [input]
      prompt: "It ended with {{{{ steps.run.exit_code }}}}."
      passes: result.data['pass'] and steps.run.exit_code == 0
      onFail: {{goto: code, max: 3, feedback: "It failed: {{{{ steps.run.stderr[-200:] }}}}"}}
"""


@pytest.fixture
def local(product: Product) -> Product:
    """A home with a tiny model that sees, and nothing else to call."""
    models = product.home / "models"
    models.mkdir(parents=True)
    write_model(models / "tiny.gguf", TinyModel(context=8192))
    write_projector(models / "mmproj-tiny.gguf")
    product.settings(SETTINGS)
    product.without("AGENTHOST_MODEL")
    product.apply(MANIFESTS)
    product.write("sketch.png", png(40))
    return product


def job(product: Product) -> tuple[str, ...]:
    return ("run", "job", "--file", str(product.folder / "sketch.png"), "--json")


def events(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("kind") == kind]


def pid_of(product: Product) -> int:
    """The process id of the model's child, as the host that runs tells it."""
    done = product.run("model", "list", "--json")
    assert done.code == 0, done
    return next(line["pid"] for line in json.loads(done.out) if line["name"] == "llamacpp:tiny")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that its parent hasn't buried has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_end(pid: int) -> None:
    until = time.monotonic() + PATIENCE
    while not gone(pid):
        assert time.monotonic() < until, f"process {pid} goes on"
        time.sleep(0.02)


def heard(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    """What a running command tells, as it comes."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def being_answered(line: dict[str, Any], task: str) -> bool:
    """Whether an answer in that task has begun: something was told of it. The model is loaded by then."""
    return "delta" in line and task in line["task"]


def outcomes(lines: list[dict[str, Any]]) -> list[int]:
    """The exit codes of the program's runs."""
    found = [line["answer"] for line in events(lines, "answered") if line["command"].startswith("run-")]
    return [answer["exit_code"] for answer in found if answer["type"] == "run-result"]


def test_a_sketch_becomes_a_program_that_runs_and_the_first_fault_goes_back(local: Product) -> None:
    done = local.run(*job(local))
    assert done.code == 0, done
    lines = done.objects()
    assert outcomes(lines) == [1, 0]
    faults = [line["answer"]["stderr"] for line in events(lines, "answered") if line["command"] == "run-1"]
    assert "No such file or directory: 'numbers.txt'" in faults[0]
    second = next(line["spec"] for line in events(lines, "created") if line["task"].endswith(".code-2"))
    assert "No such file or directory: 'numbers.txt'" in second["message"]["parts"][0]["text"]
    assert (lines[-1]["state"], lines[-1]["outcome"]) == ("completed", "done")
    # Each answer of the coder is what the grammar lets it be, and nothing was called twice.
    answers = [line["answer"] for line in events(lines, "answered") if line["answer"]["type"] == "model-answer"]
    assert len(answers) == 5
    assert all(isinstance(json.loads(answer["parts"][0]["text"]), dict) for answer in answers)
    assert local.sql("SELECT settled, count(*) FROM ledger GROUP BY settled") == [(1, 5)]


def test_killed_in_the_middle_of_an_answer_the_model_comes_back_and_the_job_ends_right(local: Product) -> None:
    killed = 0
    lines: list[dict[str, Any]] = []
    with local.running("up"):
        pid = loaded(local)
        with local.running(*job(local)) as process:
            for line in heard(process):
                lines.append(line)
                if not killed and being_answered(line, ".code-1"):
                    os.kill(pid, signal.SIGKILL)
                    killed = pid
            assert process.wait() == 0, lines[-3:]
        again = pid_of(local)
        assert killed and again and again != killed
        wait_for_end(killed)
    wait_for_end(again)

    assert (lines[-1]["state"], lines[-1]["outcome"]) == ("completed", "done")
    assert outcomes(lines) == [1, 0]
    retried = events(lines, "retried")
    assert [line["failure"]["code"] for line in retried] == ["model-ended"]
    assert "was killed by SIGKILL in the middle of an answer of tiny" in retried[0]["failure"]["message"]
    # What the cut attempt used was never told, so its worst case stands beside the six that were answered.
    assert local.sql("SELECT settled, count(*) FROM ledger GROUP BY settled ORDER BY settled") == [(0, 1), (1, 6)]


def test_a_probe_says_what_it_loads_before_what_it_finds(local: Product) -> None:
    done = local.run("model", "probe", "llamacpp:tiny", "--quick", "--context", "1000")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith("this takes about")
    loading = [at for at, line in enumerate(lines) if line.startswith("loading tiny (")]
    found = [at for at, line in enumerate(lines) if line.startswith("native tool calls: ")]
    assert len(loading) == 1 and loading[0] < found[0], done


def test_when_the_host_is_killed_its_child_ends_and_the_next_host_goes_on(local: Product) -> None:
    with local.running("up") as host:
        pid = loaded(local)
        with local.running(*job(local)) as process:
            for line in heard(process):
                if being_answered(line, ".code-1"):
                    host.send_signal(signal.SIGKILL)
                    break
            host.wait()
            wait_for_end(pid)
    done = local.run("tasks", "follow", "last", "--json")
    assert done.code == 0, done
    lines = done.objects()
    assert (lines[-1]["state"], lines[-1]["outcome"]) == ("completed", "done")
    assert outcomes(lines) == [1, 0]


def test_the_shipped_workflow_goes_to_its_end_on_nonsense_and_says_what_was_tried(local: Product) -> None:
    """Calls are held to their shape by a grammar; what they write is no program, so it fails for real, five times."""
    local.settings(SETTINGS.replace("llamacpp:tiny", "small") + SMALL)
    write_model(local.home / "models" / "tiny.gguf", TinyModel(context=16384))
    example = Path(__file__).parents[2] / "examples" / "sketch-to-code"
    applied = local.run("apply", "-f", str(example / "agents.yaml"), "-f", str(example / "workflow.yaml"))
    assert applied.code == 0, applied
    done = local.run("run", "sketch-to-code", "--file", str(example / "sketch.png"), "--json")
    assert done.code == 1, done
    lines = done.objects()
    assert (lines[-1]["state"], lines[-1]["outcome"]) == ("failed", "unachievable")
    assert "step 'check' failed after 5 attempts" in lines[-1]["reason"]
    assert outcomes(lines) == [2] * 5
    answers = [line["answer"] for line in events(lines, "answered") if line["answer"]["type"] == "model-answer"]
    # Each call that came whole was performed, and what came of it went back; one that was cut off was not.
    calls = [call for answer in answers for call in answer.get("calls", ()) if whole(call["arguments"])]
    # (Arguments that are JSON and yet don't fit go back without being performed.)
    assert len(calls) >= sum(line["answer"]["type"] == "tool-result" for line in events(lines, "answered"))
    assert {call["name"] for call in calls} <= TOOLS
    assert local.sql("SELECT count(*) FROM ledger WHERE settled") == [(len(answers),)]


def whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True


TOOLS = {"list_files", "read_file", "write_file", "edit_file", "delete_file", "run"}

SMALL = """\
[models.names.small]
model = "llamacpp:tiny"
card = {calling = "grammar", tools = true, max_output = 500}
"""


def test_a_fetch_that_was_killed_goes_on_where_it_was_and_the_model_answers(product: Product) -> None:
    content = write_model(product.folder / "m.gguf").read_bytes()
    product.without("AGENTHOST_MODEL")
    part = product.home / "models" / ".mine.gguf.part"
    digest = hashlib.sha256(content).hexdigest()
    with Slow(content) as server:
        words = ("model", "pull", server.url, "--name", "mine", "--sha256", digest, "--json")
        with product.running(*words) as process:
            wait_for_size(part, server.first)
            process.kill()
            process.wait()
        server.whole.set()
        done = product.run(*words)
    assert done.code == 0, done
    assert server.ranges == ["", f"bytes={server.first}-"]
    last = done.objects()[-1]
    assert (last["name"], last["size"], last["sha256"], last["resumed"]) == ("mine", len(content), digest, server.first)

    product.settings('[models]\ndefault = "llamacpp:mine"\n[models.llamacpp]\ncommand = "xllamacpp"\n')
    product.apply(ECHO)
    done = product.run("run", "echo", "hello", "--json")
    assert done.objects()[-1]["outcome"] == "done", done
    removed = product.run("model", "remove", "mine")
    assert removed.code == 0, removed
    assert list((product.home / "models").iterdir()) == []


class Slow:
    """A server of one file that sends the first half and then nothing, until it is told to send all."""

    def __init__(self, content: bytes) -> None:
        self.first = len(content) // 2
        self.ranges: list[str] = []
        self.whole = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.ranges.append(wanted)
                start = int(wanted[6:-1]) if wanted and self.headers["If-Range"] == '"v1"' else 0
                self.send_response(206 if start else 200)
                self.send_header("ETag", '"v1"')
                self.send_header("Content-Length", str(len(content) - start))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                self.wfile.write(content[start : outer.first] if not start else content[start:])
                self.wfile.flush()
                if not start:
                    outer.whole.wait(PATIENCE)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/m.gguf"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Slow":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.whole.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def wait_for_size(path: Path, size: int) -> None:
    until = time.monotonic() + PATIENCE
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.02)


def loaded(product: Product) -> int:
    """The process id of the child, once the host that runs has loaded the model for an answer."""
    wait_for_host(product)
    done = product.run("run", "reader", "hello", "--json")
    assert done.code == 0, done
    return pid_of(product)


def wait_for_host(product: Product) -> None:
    until = time.monotonic() + PATIENCE
    while not (product.home / "host.sock").exists():
        assert time.monotonic() < until, "no host"
        time.sleep(0.05)
