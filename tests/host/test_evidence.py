"""The evidence of tasks of a real host: shown, taken along, held against the journal, and gone with its task."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.cli.evidence import differences
from agenthost.core.access import Caller
from agenthost.core.api import Order
from agenthost.core.budgets import Limits
from agenthost.core.errors import NotFound
from agenthost.core.evidence import EvidencePack
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import Scope
from agenthost.host.erasure.desk import Desk
from agenthost.host.host import Host
from host.conftest import Opens, followed

WRITER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec:
  description: Writes
  tools: [workspace]
  completion:
    rule: checks+supervisor
    criteria: [report.txt holds the sum., The tone is friendly.]
    checks: [{file: {path: report.txt, pattern: 'sum \\d+'}, proves: [1]}]
    supervisor: {instructions: Be strict., budget: {turns: 5}}
"""
PLAIN = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: plain}
spec: {description: Talks}
"""
FLOW = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  description: A flow
  roles: {writer: {agent: writer}}
  steps:
    - {id: work, role: writer, prompt: "{{ task.text }}"}
    - {id: look, check: {file: {path: report.txt}}}
"""
PLAYS = """\
rules:
  - when: {purpose: judge, matches: 'event (?P<look>\\d+) \\(look'}
    reply:
      text: '{"criteria": [{"number": 2, "met": true, "evidence": [{"event": {{look}}, "quote": "friend"}], "missing": ""}], "verdict": "done", "reason": "fine", "question": ""}'
  - when: {offers: write_file, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: report.txt, content: "Dear friend, sum 3 XYZZY-4711"}}]}
  - reply: {text: "Done."}
"""


async def ended(host: Host, name: str) -> str:
    row = await host.start(Order(name, "add it up"))
    await followed(host, row.id)
    return row.id


async def test_a_task_hands_out_its_evidence_as_files(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, PLAIN, work=True)
    task = await ended(host, "writer")
    row = (await host.task(task)).row
    assert (row.state, row.reason) == ("completed", "all 2 criteria are met")

    pack = await host.evidence(task)
    assert [(one.met, one.by) for one in pack.criteria] == [(True, "checks"), (True, "judge")]
    assert (pack.rule, pack.outcome, pack.events, pack.judges) == (
        "checks+supervisor",
        "done",
        row.seq,
        (f"{task}.s1",),
    )
    assert [one.kind for one in pack.shown] == ["check", "look"]
    kinds = {one.event: one for one in pack.shown}
    assert all(kinds[event].ok for one in pack.criteria for event in one.evidence)

    files = {each.path: each for each in await host.artifacts(task)}
    assert set(files) == {"report.txt", ".agenthost/evidence.json", ".agenthost/evidence.md"}
    kept = msgspec.json.decode(await host.get_file(files[".agenthost/evidence.json"].digest), type=EvidencePack)
    assert kept == pack
    assert (await host.artifact(task, ".agenthost/evidence.md")).digest == files[".agenthost/evidence.md"].digest
    told = (await host.get_file(files[".agenthost/evidence.md"].digest)).decode()
    assert "| 1 | report.txt holds the sum. | met | checks |" in told
    assert [each.path for each in await host.artifacts(await ended(host, "plain"))] == []


SCRIPTED = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: scripted}
spec:
  description: Writes
  tools: [workspace]
  completion:
    rule: checks
    maxRounds: 1
    checks:
      - {file: {path: report.txt, pattern: 'sum \\d+'}}
      - {script: "checks[0].ok and 'report.txt' in changed"}
      - script: |
          def check(seen):
              size = seen.checks[0].facts.size
              return True if size < 20 else f"{size} bytes are too many"
"""


async def test_scripts_judge_what_the_other_checks_saw(opens: Opens) -> None:
    host = await opens(PLAYS, SCRIPTED, work=True)
    pack = await host.evidence(await ended(host, "scripted"))
    assert (pack.outcome, pack.rounds) == ("unachievable", 2)
    assert pack.reason.endswith("29 bytes are too many")
    assert [(one.round, one.ok) for one in pack.shown] == [
        (1, True),
        (1, True),
        (1, False),
        (2, True),
        (2, True),
        (2, False),
    ]


REPORTER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: reporter}
spec:
  description: Writes a report by hand
  tools: [workspace]
  completion:
    rule: checks
    maxRounds: 1
    checks:
      - {run: "ls", report: {path: report.txt}}
      - {run: "echo '<testsuite><testcase/></testsuite>' > report.txt", report: {path: report.txt}}
"""


async def test_in_a_real_sandbox_a_report_is_of_its_own_run(opens: Opens) -> None:
    host = await opens(PLAYS, REPORTER, work=True)
    pack = await host.evidence(await ended(host, "reporter"))
    assert pack.outcome != "done"
    # What the agent wrote is gone before `ls` begins, and so is what the second check wrote, in the round after.
    assert [(one.round, one.ok, one.reason) for one in pack.shown] == [
        (round, ok, why) for round in (1, 2) for ok, why in ((False, "there is no file 'report.txt'"), (True, ""))
    ][: len(pack.shown)]
    assert pack.shown[1].facts["tests"] == 1
    assert pack.shown[0].exit_code == 0


async def test_a_pack_is_held_against_the_journal(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, FLOW, work=True)
    pack = await host.evidence(await ended(host, "flow"))
    assert [one.name for one in pack.below] == ["writer"]
    assert pack.shown == ()
    assert await differences(host, pack) == []
    other = msgspec.structs.replace(pack, outcome="partly")
    assert await differences(host, other) == [f"{pack.task}: 'outcome' is not what the journal gives"]
    shorter = msgspec.structs.replace(pack, events=pack.events - 1)
    assert "events are others than the pack was made of" in (await differences(host, shorter))[0]
    below = msgspec.structs.replace(pack.below[0], journal="sha256:" + "0" * 64)
    assert (
        f"{below.task}: the journal's first"
        in (await differences(host, msgspec.structs.replace(pack, below=(below,))))[0]
    )


async def test_the_evidence_goes_with_its_task(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, work=True)
    host._adapters.blobs.used_for = 0.0  # pyright: ignore[reportPrivateUsage]
    task = await ended(host, "writer")
    digests = [each.digest for each in await host.artifacts(task)]
    desk: Desk = host.erasure
    await desk.task(Caller(), task, False)
    for digest in digests:
        with pytest.raises(NotFound):
            await host.get_file(digest)
    blobs: Path = host.settings.folder / "blobs"
    assert not [path for path in blobs.rglob("*") if path.is_file() and b"XYZZY" in path.read_bytes()]


async def test_a_judgement_has_a_budget_of_its_own(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, work=True)
    scope = Scope("t", Limits(), "default/supervisor/writer")
    assert host.library.limits(scope) == Limits(turns=5)
    poor = WRITER.replace("turns: 5", "tokens: 10")
    _, problems = await host.apply({"w.yaml": poor})
    assert not problems
    row = (await host.task(await ended(host, "writer"))).row
    assert row.state in FINAL
    assert (row.state, row.outcome) == ("failed", "partly")
    assert "could not be judged" in row.reason


async def test_a_supervisors_own_model_is_pinned(opens: Opens, tmp_path: Path) -> None:
    named = WRITER.replace("supervisor: {", "supervisor: {model: cheap, ")
    toml = f'[models.names.cheap]\nmodel = "scripted:{tmp_path}/plays.yaml"\ncard = {{window = 9000}}\n'
    host = await opens(PLAYS, named, work=True, toml=toml)
    task = await ended(host, "writer")
    created: Any = (await host.events(task, 0, 1))[0].event
    pinned = (await host.library.bundle(created.spec.bundle)).agents["writer"]
    assert pinned.supervisor is not None and pinned.supervisor.window == 9000
    assert {entry.model for entry in await host.ledger(task) if entry.task.endswith(".s1")} != set()
    assert (await host.task(task)).row.outcome == "done"
