"""Which receipts can show that a criterion is met: rules that hold whatever a judge was led to believe.

A rule here only ever refuses. What is left is for the judge; where a rule can't decide, it lets pass.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.shell import deciding, hides_exit, only_says
from agenthost.programs.checking.criteria import gone, matches, named, of_failing, of_tests, protects, to_be_run
from agenthost.programs.checking.receipts import CUT, Receipt

_READS = re.compile(
    r"^\s*(?:/\S*/)?(cat|tac|nl|sort|uniq|cut|tr|strings|xxd|od|base64|dd|cp|mv|mkdir|touch|ln|chmod|column|paste|tee|wait|test|\[|head|tail|less|more|grep|egrep|rg|ls|find|wc|stat|file|sed -n|awk|jq|diff|cmp|sha256sum|md5sum|tree|du|pwd|date|"
    r"type|which|git (log|show|status|diff)|echo|printf|true|:|cd|set|export|source|\.)(?=\s|$)"
)
_SAYS = re.compile(r"^(echo|printf|true|:|exit|cd|set|export|wait)(?=\s|$)")
_RUNS_TESTS = re.compile(
    r"test|spec|check|tox|nox|verify|\bmake(?![.\w-])|jest|mocha|cargo|gradle|mvn|bazel|ninja|rake|karma|cypress|playwright",
    re.I,
)
_RUNS_NONE = re.compile(r"--(version|help|collect-only|co|dry-run|no-run)\b")


class Case(Struct, frozen=True, omit_defaults=True):
    """What is judged: the criteria, what the host saw, and how the files are now.

    `proofs` are the checks (by place) that prove a criterion (by number, as text). `files`, `sizes` and `texts` are of the host's
    last look, event `look`; `unlisted` says how many files it leaves out. `touched` is the event at which a path was last
    changed by the task; `sources` the same, without what a program makes again by itself. `given` are the files of before
    the task that it left other. `sought`: names of which `files` has all that there are. `last` is the number of the
    journal's last event. `claims` is what the agent says.
    """

    work: str
    criteria: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    round: int
    last: int
    look: int = 0
    claims: str = ""
    proofs: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict[str, tuple[int, ...]])
    files: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    sizes: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    texts: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    unlisted: int = 0
    touched: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    sources: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    given: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()


def proof(case: Case, number: int) -> tuple[tuple[int, ...], str] | None:
    """For a criterion that checks prove: the events of those, and why they don't; None where none does."""
    checks = case.proofs.get(str(number))
    if not checks:
        return None
    made = {one.check: one for one in case.receipts if one.kind == "check" and one.round == case.round}
    missing = [place for place in checks if place not in made or not made[place].ok]
    if missing:
        return (), f"the check that proves it did not pass (number {missing[0] + 1})"
    return tuple(made[place].event for place in checks), ""


def impossible(case: Case, criterion: str) -> str:
    """Why a criterion can't be met, whatever stands for it: a file that it names isn't there, or a test that was given with
    the work and is to pass isn't what was given; empty where it may be."""
    if not case.look:
        return ""
    other = next((path for path in case.given if protects(criterion, path)), "")
    if other:
        return f"'{other}' was given with the work and is other now; put it back as it was"
    for path in named(criterion):
        if case.unlisted and path not in case.sought:
            continue
        if gone(criterion, path):
            continue
        there = _matching(path, case.files)
        if not there:
            return f"there is no file '{path}'"
        if all(case.sizes.get(one, 1) == 0 for one in there) and "empty" not in criterion.lower() and not _marker(path):
            return f"the file '{path}' is empty"
    return ""


def weakness(case: Case, number: int, event: Any, quote: str = "") -> str:
    """Why an event can't show that a criterion is met; empty where it can."""
    criterion = case.criteria[number - 1]
    if not isinstance(event, int) or event < 1 or event > case.last:
        return f"the journal has no event {event}"
    found = next((one for one in case.receipts if one.event == event), None)
    if found is None:
        return f"event {event} is nothing that the host saw done: it is what somebody said, or a step of the host's own"
    if quote and not _says(case, found, quote):
        return f"event {event} has nothing that says {quote[:80]!r}"
    return (
        _failed(found, criterion)
        or _stale(case, found)
        or _foreign(case, found, number)
        or _unrelated(case, found, criterion)
        or _shows_nothing(found, criterion)
    )


def _failed(found: Receipt, criterion: str) -> str:
    if not found.ok:
        return f"event {found.event} failed: {found.text[:120] or 'it ended with an error'}"
    wrong = found.exit_code is not None and found.exit_code != 0 and found.kind == "run"
    if wrong and not of_failing(criterion):
        return f"event {found.event} exited with {found.exit_code}"
    return ""


def _stale(case: Case, found: Receipt) -> str:
    if found.kind == "check":
        return "" if found.round == case.round else f"event {found.event} is a check of an earlier round"
    if found.kind == "look":
        return "" if found.event == case.look else f"event {found.event} is an earlier look at the files"
    if found.kind == "run":
        return _after(found.event, case.sources)
    if found.changes:
        still = [path for path, name in found.changes.items() if case.files.get(path) == name]
        if not still and not case.unlisted:
            return f"what event {found.event} wrote is not there any more: {', '.join(list(found.changes)[:5])}"
    return _after(found.event, {path: at for path, at in case.touched.items() if path in found.reads})


def _after(event: int, changed: Mapping[str, int]) -> str:
    later = [path for path, at in changed.items() if at > event]
    if not later:
        return ""
    last = max(later, key=lambda path: changed[path])
    return f"'{last}' was changed after event {event}, by event {changed[last]}; do again what shows it"


def _foreign(case: Case, found: Receipt, number: int) -> str:
    """A check that proves other criteria is no evidence for this one."""
    others = [int(name) for name, checks in case.proofs.items() if found.check is not None and found.check in checks]
    if others and number not in others:
        return f"event {found.event} is the proof of criterion {others[0]}, not of this one"
    return ""


def _unrelated(case: Case, found: Receipt, criterion: str) -> str:
    """What is about files is about those that the criterion names, where it names some."""
    paths = named(criterion)
    about = {*found.changes, *found.reads, *(case.files if found.kind == "look" else ())}
    if not paths or not about or found.kind == "run" or (found.kind == "look" and case.unlisted):
        return ""
    if any(_matching(path, about) or gone(criterion, path) for path in paths):
        return ""
    return f"event {found.event} is about {', '.join(sorted(about)[:3])}, and not about {paths[0]}"


def _shows_nothing(found: Receipt, criterion: str) -> str:
    if found.kind == "run" and (only_says(found.what) or hides_exit(found.what)):
        return f"the exit code of event {found.event} says nothing: `{found.what[:80]}` ends well whatever happened; run it alone"
    if not to_be_run(criterion):
        return ""
    if found.kind == "person":
        return f"event {found.event} is what a person said, and this has to be run"
    if found.kind == "look" or (found.kind in ("tool", "child") and (found.changes or found.reads or found.inside)):
        return f"event {found.event} shows what stands in files, and this has to be run"
    if found.kind != "run":
        return ""
    # Of a line that is too long to be kept whole nobody knows what decides its exit code.
    decides = deciding(found.what) if CUT not in found.what else []
    if all(_SAYS.match(part) for part in decides):
        return f"the exit code of event {found.event} says nothing of what was run: `{found.what[:80]}`; run it alone"
    if all(_READS.match(part) for part in decides):
        return f"event {found.event} only shows what stands in files, and this has to be run"
    return _untested(found, decides) if of_tests(criterion) else ""


def _untested(found: Receipt, decides: Sequence[str]) -> str:
    """A run that is to show that tests pass, and shows that they failed or weren't run."""
    text = found.text
    if not any(_RUNS_TESTS.search(part) and not _RUNS_NONE.search(part) and not _READS.match(part) for part in decides):
        return f"event {found.event} runs no tests"
    if re.search(r"\b[1-9]\d* (failed|failures?|errors?)\b|\bFAILED\b", text):
        return f"tests failed in event {found.event}"
    if re.search(r"no tests (ran|found|were)|\bRan 0 tests|\b0 (tests|passed|passing)\b|collected 0 items", text, re.I):
        return f"no tests were run in event {found.event}"
    ran, skipped = (
        re.search(r"\bRan (\d+) tests?", text),
        re.search(r"\bskipped[=:] ?(\d+)|\b(\d+) (?:skipped|deselected|pending)", text),
    )
    if skipped and not re.search(r"\b[1-9]\d* (passed|passing)\b", text):
        count = int(skipped[1] or skipped[2])
        if count and (ran is None or count >= int(ran[1])):
            return f"the tests were skipped in event {found.event}"
    return ""


def _says(case: Case, found: Receipt, quote: str) -> bool:
    """Whether a quote stands in what is known of an event."""
    texts: Sequence[str] = list(case.texts.values()) if found.kind == "look" else ()
    facts = msgspec.json.encode(found.facts).decode()
    changes = msgspec.json.encode(found.changes).decode()
    held = " ".join(
        "\n".join((found.what, found.text, facts, changes, f"exit code: {found.exit_code}", *texts)).split()
    )
    return " ".join(quote.split()).strip("\"'`. ").lower() in held.lower()


def _marker(path: str) -> bool:
    return path.endswith(("__init__.py", ".gitkeep", "py.typed"))


def _matching(path: str, files: Sequence[str] | Mapping[str, Any] | set[str]) -> list[str]:
    return [one for one in files if matches(path, one)]
