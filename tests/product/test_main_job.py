"""The main job, whole: the real command, and a server of OpenAI's API in a process of its own."""

import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import Done, Product

EXAMPLE = Path(__file__).parents[2] / "examples" / "sketch-to-code"
WIRES = ["chat", "responses"]
LINES = "P-104 DELIVERED Kiel 26h on time\nP-105 IN_TRANSIT Kassel 50h LATE\n"


def playbook(product: Product, **changes: str) -> Path:
    """A copy of the example's playbook that doesn't dawdle, and with other words in some places."""
    folder = product.folder / "played"
    shutil.copytree(EXAMPLE, folder)
    file = folder / "demo.playbook"
    text = re.sub(r"(?m)^ *(pause|delay): [0-9.]+\n", "", file.read_text())
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file


def job(product: Product, server: OpenAIServer, wire: str) -> Done:
    """Run it on the example's sketch."""
    product.without("AGENTHOST_MODEL")
    product.settings(
        '[models]\ndefault = "acme:m"\n'
        f'[models.providers.acme]\nbase-url = "{server.url}"\nwire = "{wire}"\nlabels = true\n'
    )
    applied = product.run("apply", "-f", str(EXAMPLE / "agents.yaml"), "-f", str(EXAMPLE / "workflow.yaml"))
    assert applied.code == 0, applied
    sketch = str(EXAMPLE / "sketch.png")
    return product.run("run", "sketch-to-code", "--file", sketch, "--input", "language=python", "--json")


def runs(done: Done) -> list[dict[str, Any]]:
    """What came of each run of the program, as the journal has it."""
    return [
        line["answer"]
        for line in done.objects()
        if line.get("kind") == "answered" and re.fullmatch(r"run-\d+", line["command"])
    ]


def pictures(value: Any) -> list[bytes]:
    """The bytes of every picture anywhere in a request."""
    if isinstance(value, str):
        head, _, data = value.partition(";base64,")
        return [b64decode(data)] if head == "data:image/png" else []
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [picture for item in inner for picture in pictures(item)]


def said(body: bytes) -> str:
    """The words of the last message of a request, on either wire."""
    request = msgspec.json.decode(body)
    content = (request.get("messages") or request["input"])[-1]["content"]
    return content if isinstance(content, str) else "".join(piece.get("text", "") for piece in content)


@pytest.mark.parametrize("wire", WIRES)
def test_a_sketch_goes_in_and_a_checked_program_comes_out(product: Product, wire: str) -> None:
    with OpenAIServer(playbook(product), product.folder / "record") as server:
        done = job(product, server, wire)
        bodies, answers = server.bodies(), server.answers()
    assert done.code == 0, done

    # The image arrives byte for byte, once, at who reads it.
    seen = [pictures(msgspec.json.decode(body)) for body in bodies]
    assert seen == [[(EXAMPLE / "sketch.png").read_bytes()], *[[]] * (len(bodies) - 1)]

    # The first program really fails in the sandbox: the traceback has its path there, and no playbook has it.
    first, second = runs(done)
    assert first["exit_code"] == 1
    assert 'File "/workspace/main.py", line ' in first["stderr"]
    assert first["stderr"].rstrip().endswith("ValueError: Invalid isoformat string: '#'")
    assert "Traceback" not in (EXAMPLE / "demo.playbook").read_text()

    # Its real stderr is in the next request, to the checker, and in the one to the coder.
    agents = [answer.agent for answer in answers]
    assert agents == ["sketch-reader", "coder", "coder", "checker", "coder", "coder", "coder", "checker"]
    assert first["stderr"].strip() in said(bodies[3])
    assert first["stderr"].strip() in said(bodies[4])
    assert not any(first["stderr"].strip() in body.decode() for body in bodies[:3])

    # The second passes, and what came out does so without us, too.
    assert second["exit_code"] == 0
    assert second["stdout"] == LINES
    assert run_of(product, done) == LINES

    # The checker's verdict ends the task.
    verdicts = [
        line["parts"][0]["data"]["pass"]
        for line in done.objects()
        if line.get("kind") == "finished" and ".check-" in line["task"]
    ]
    assert verdicts == [False, True]
    summary = done.objects()[-1]
    assert "state" in summary, (done.out[-1500:], done.err)
    assert (summary["state"], summary["outcome"]) == ("completed", "done")

    # No call was made twice, and the ledger is the server's own count.
    assert len({answer.key for answer in answers}) == len(answers) == len(bodies)
    spent = product.sql("SELECT count(*) FROM ledger WHERE settled")
    assert spent == [(len(answers),)]


def run_of(product: Product, done: Done) -> str:
    """What the program prints that came out, run with this Python outside of any sandbox of ours."""
    task = done.objects()[-1]["task"]
    out = product.folder / "out"
    got = product.run("tasks", "artifacts", task, "--out", str(out))
    assert got.code == 0, got
    return subprocess.run([sys.executable, "main.py"], cwd=out, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("wire", WIRES)
def test_with_max_exhausted_it_fails_and_says_what_was_tried(product: Product, wire: str) -> None:
    never = {
        "ValueError: Invalid isoformat": "Never said",
        "anywhere: Your last attempt failed": "anywhere: never said",
    }
    with OpenAIServer(playbook(product, **never), product.folder / "record") as server:
        done = job(product, server, wire)
        coder = [answer for answer in server.answers() if answer.agent == "coder"]
    assert done.code == 1, done
    assert [run["exit_code"] for run in runs(done)] == [1] * 5
    assert len(coder) == 10  # two calls an attempt
    summary = done.objects()[-1]
    assert "state" in summary, (done.out[-1500:], done.err)
    assert (summary["state"], summary["outcome"]) == ("failed", "unachievable")
    assert "step 'check' failed after 5 attempts" in summary["reason"]
    for attempt in range(1, 6):
        assert f"attempt {attempt}: The exit code is 1." in summary["reason"]
    assert "ValueError: Invalid isoformat string: '#'" in summary["reason"]


def test_a_provider_that_fails_on_the_way_changes_nothing_but_the_time(product: Product) -> None:
    """Each kind of failure that is temporary meets the job once, each at another call."""
    file = playbook(product)
    text = file.read_text()
    kinds = iter(
        ["rate-limit, retry: 0", "cut, after: 3", "reset", "garbage", "html", "overloaded", "server-error", "empty"]
    )
    parts = text.split("    reply:")
    file.write_text(
        parts[0] + "".join(f"    fail: {{kind: {next(kinds)}, times: 1}}\n    reply:{part}" for part in parts[1:])
    )
    with OpenAIServer(file, product.folder / "record") as server:
        done = job(product, server, "chat")
        bodies, answers = server.bodies(), server.answers()
    assert done.code == 0, done
    assert [run["exit_code"] for run in runs(done)] == [1, 0]
    assert len(answers) == 8
    assert len(bodies) == 16
    # What may have been charged for stays in the ledger: cut, reset, garbage, html and empty.
    assert product.sql("SELECT settled, count(*) FROM ledger GROUP BY settled ORDER BY settled") == [(0, 5), (1, 8)]
