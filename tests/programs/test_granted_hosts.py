"""What has a network isn't safe to repeat, and says what it reaches; servers are checks and steps too."""

import pytest
import workflows
from agents import calls, last, play, request, says, verdict

from agenthost.core.commands import CallTool, Probe, RunCommand
from agenthost.core.parts import TextPart

GRANTED = {"network": "granted", "hosts": ["api.example.com", "*.example.org"]}
PROBE = {"port": 8000, "path": "/health", "body": "ok", "within": "5s"}


def test_a_call_that_runs_code_is_safe_to_repeat_without_hosts_alone() -> None:
    for sandbox, safe in (({}, True), (GRANTED, False)):
        book = play(tools=["run", "write_file", "look"], sandbox=sandbox)
        book.answer("m1", calls(("run", "{}"), ("write_file", "{}"), ("look", "{}")))
        made = [command for command in book.open.values() if isinstance(command, CallTool)]
        assert [(command.tool, command.repeatable) for command in made] == [
            ("run", safe),
            ("write_file", True),
            ("look", True),
        ]


def test_the_tool_says_which_hosts_can_be_reached() -> None:
    alone = {tool.name: tool.description for tool in request(play(tools=["run", "write_file"]), "m1").tools}
    assert alone == {"run": "Run. There is no network.", "write_file": "Write."}
    granted = request(play(tools=["run", "write_file"], sandbox=GRANTED), "m1").tools
    assert granted[0].description == (
        "Run. Of the network it reaches these hosts and nothing else: api.example.com, *.example.org."
    )
    assert granted[1].description == "Write."


@pytest.mark.parametrize(("sandbox", "network"), [({}, False), (GRANTED, True)])
def test_checks_and_steps_have_the_network_of_their_policy(sandbox: dict[str, object], network: bool) -> None:
    book = play(sandbox=sandbox, completion={"rule": "checks", "checks": [{"run": "make"}]})
    book.answer("m1", says("done"))
    assert book.open["c1-0"] == RunCommand("c1-0", "make", None, network)
    assert book.open["c1-0"].repeatable is not network
    flow = workflows.play([{"id": "a", "command": "make"}], sandbox=sandbox)
    assert flow.open["a-1"] == RunCommand("a-1", "make", 60.0, network)
    flow = workflows.play([{"id": "a", "tool": "run"}, {"id": "b", "tool": "put", "needs": []}], sandbox=sandbox)
    assert [flow.open[id].repeatable for id in ("a-1", "b-1")] == [not network, True]


def test_a_server_is_a_check_and_its_failure_goes_back_to_the_agent() -> None:
    book = play(completion={"rule": "checks", "checks": [{"serve": "python app.py", "probe": PROBE}]})
    assert request(book, "m1").instructions.endswith(
        "- python app.py (a server: GET /health on port 8000 must answer 200 and a body that matches 'ok')"
    )
    book.answer("m1", says("done"))
    wanted = Probe(8000, "/health", 200, "ok", 5.0)
    assert book.open["c1-0"] == RunCommand("c1-0", "python app.py", None, False, wanted)
    book.ran("c1-0", 1, stdout="GET ...\n", stderr="Traceback\nprobe: nothing listens on port 8000 of 127.0.0.1")
    told = last(book, "m2")
    assert told.startswith(
        "The check `python app.py` failed: the command exited with 1: probe: nothing listens on port 8000 of 127.0.0.1.\n"
    )
    assert "Traceback" in told
    book.answer("m2", says("mended"))
    book.ran("c2-0", stdout="HTTP/1.1 200 OK")
    assert verdict(book)[0] == "done"


def test_a_server_is_a_step_of_a_workflow() -> None:
    book = workflows.play(
        [
            {"id": "up", "serve": "python {{ input.file }}", "probe": PROBE, "timeout": "9s"},
            {"id": "tell", "command": "echo {{ steps.up.exit_code }}"},
        ],
        input={"file": {"type": "string"}},
        inputs={"file": "app.py"},
    )
    assert book.open["up-1"] == RunCommand("up-1", "python app.py", 9.0, False, Probe(8000, "/health", 200, "ok", 5.0))
    book.ran("up-1", stdout="HTTP/1.1 200 OK")
    assert book.open["tell-1"] == RunCommand("tell-1", "echo 0", 60.0)
    book.ran("tell-1", stdout="0")
    assert book.finish is not None
    assert book.finish.parts == (TextPart("0"),)
    book = workflows.play([{"id": "up", "serve": "python app.py", "probe": PROBE}])
    book.ran("up-1", 1, stderr="probe: it hung up")
    assert book.finish is not None
    assert book.finish.verdict.outcome == "unachievable"
    assert "probe: it hung up" in book.finish.verdict.reason
