"""Which receipts can show that a criterion is met: rules that hold whatever a judge was led to believe.

A rule here only ever refuses. What is left is for the judge; where a rule can't decide, it lets pass.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.shell import hides_exit, only_says
from agenthost.programs.checking.receipts import Receipt

_ENDINGS = (
    "py|pyi|js|ts|tsx|jsx|mjs|css|html?|md|rst|txt|csv|tsv|json|jsonl|ya?ml|toml|xml|ini|cfg|conf|sh|sql|c|h|cpp|hpp|cc|rs|go|"
    "java|kt|rb|php|pl|lua|r|ipynb|pdf|png|jpe?g|gif|svg|webp|zip|tar|gz|log|lock|env|docx?|xlsx?|pptx?|parquet|db|sqlite|wav|mp[34]"
)
_PATH = re.compile(rf"(?<![\w/.:-])((?:[\w-]+/)*[\w-]*\.?[\w-]+\.(?:{_ENDINGS}))(?![\w/])")
_PRODUCT = re.compile(r"^[A-Z][a-z]+\.js$")
_GONE = re.compile(
    r"\b(no|without|never|not?|remove[sd]?|delete[sd]?|absent|gone|missing|away|exclude[sd]?|instead of|renamed|moved)\b",
    re.I,
)
_DOCUMENT = re.compile(r"\.(md|rst|txt|html?|pdf|docx?)$", re.I)
_DONE_BY_RUNNING = re.compile(
    r"\b(tests?|suite|specs?)\b.{0,40}\b(pass|passes|passed|succeeds?|green|run|runs|ran)\b|\b(runs?|works?|executes?|starts?)"
    r" (without|cleanly|with no|to the end)\b|\bexits? with\b|\bprints?\b|\bcompiles?\b|\bbuilds? (without|cleanly|passes)\b",
    re.I,
)
_TESTS = re.compile(r"\b(tests?|suite|specs?)\b.{0,40}\b(pass|passes|passed|succeeds?|green|run|runs|ran)\b", re.I)
_FAILING = re.compile(r"\b(exit|fail|error|refus|reject|invalid|non-?zero|abort|status|crash|raises?)\w*", re.I)
_READS = re.compile(
    r"^\s*(cat|head|tail|less|more|grep|egrep|rg|ls|find|wc|stat|file|sed -n|awk|jq|diff|cmp|sha256sum|md5sum|tree|du|pwd|date|"
    r"type|which|git (log|show|status|diff)|echo|printf|true|:|cd)\b"
)
_RUNS_TESTS = re.compile(
    r"test|spec|check|tox|nox|verify|make|jest|mocha|vitest|cargo|gradle|mvn|\bgo\b|bazel|ninja|rake|karma|cypress|playwright|python|node|sh\b|\./",
    re.I,
)


class Case(Struct, frozen=True, omit_defaults=True):
    """What is judged: the criteria, what the host saw, and how the files are now.

    `proofs` are the checks (by place) that prove a criterion (by number, as text). `files`, `sizes` and `texts` are of the host's
    last look, event `look`; `unlisted` says how many files it leaves out. `touched` is the event at which a path was last
    changed by the task; `sources` the same, without what a program makes again by itself. `last` is the number of the
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


def named(criterion: str) -> list[str]:
    """The files that a criterion names."""
    return [path for path in dict.fromkeys(_PATH.findall(criterion)) if not _PRODUCT.match(path)]


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
    """Why a criterion can't be met, whatever stands for it: a file that it names isn't there; empty where it may be."""
    if case.unlisted or not case.look:
        return ""
    for path in named(criterion):
        if _gone(criterion, path):
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
    if wrong and not _FAILING.search(criterion):
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
    if any(_matching(path, about) or _gone(criterion, path) for path in paths):
        return ""
    return f"event {found.event} is about {', '.join(sorted(about)[:3])}, and not about {paths[0]}"


def _shows_nothing(found: Receipt, criterion: str) -> str:
    if found.kind == "run" and (only_says(found.what) or hides_exit(found.what)):
        return f"the exit code of event {found.event} says nothing: `{found.what[:80]}` ends well whatever happened; run it alone"
    if not _DONE_BY_RUNNING.search(criterion) or any(_DOCUMENT.search(path) for path in named(criterion)):
        return ""
    if found.kind == "look" or (found.kind in ("tool", "child") and (found.changes or found.reads)):
        return f"event {found.event} shows what stands in files, and this has to be run"
    if found.kind == "run" and all(
        _READS.match(part) for part in re.split(r"&&|\|\||[;|\n]", found.what) if part.strip()
    ):
        return f"event {found.event} only shows what stands in files, and this has to be run"
    return _untested(found) if _TESTS.search(criterion) else ""


def _untested(found: Receipt) -> str:
    """A run that is to show that tests pass, and shows that they failed or weren't run."""
    if found.kind != "run":
        return ""
    text = found.text
    if not _RUNS_TESTS.search(found.what):
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


def _gone(criterion: str, path: str) -> bool:
    """Whether a criterion speaks of a file that is to be gone, so far as words beside its name tell."""
    at = criterion.find(path)
    before, after = criterion[:at].split()[-3:], criterion[at + len(path) :].split()[:5]
    return bool(_GONE.search(" ".join(before)) or _GONE.search(" ".join(after)))


def _marker(path: str) -> bool:
    return path.endswith(("__init__.py", ".gitkeep", "py.typed"))


def _matching(path: str, files: Sequence[str] | Mapping[str, Any] | set[str]) -> list[str]:
    return [one for one in files if one == path or one.endswith(f"/{path}")]
