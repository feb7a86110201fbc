"""Reads test reports in JUnit's XML, whoever wrote them: no document types, no entities, nothing is fetched."""

from typing import NoReturn
from xml.parsers import expat

from msgspec import Struct

from agenthost.core.errors import BadInput

MOST_DEPTH = 64


class Tally(Struct):
    """What a report says: how many tests there were (those skipped included), and how many failed, broke, were skipped.

    Cases are counted one by one; what the suites claim in their attributes counts where it is worse.
    """

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0


_MARKS = {"failure": "failures", "error": "errors", "skipped": "skipped", "disabled": "skipped"}


class _Reader:
    def __init__(self) -> None:
        self.counted = Tally()
        self.claimed = Tally()
        self._open: list[str] = []
        self._seen: set[str] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._open and name not in ("testsuites", "testsuite"):
            raise BadInput(f"its root is <{name[:40]}>, not <testsuites> or <testsuite>")
        if len(self._open) >= MOST_DEPTH:
            raise BadInput(f"it is nested more than {MOST_DEPTH} deep")
        if name == "testcase":
            self.counted.tests += 1
            self._seen.clear()
            if attributes.get("status") in ("notrun", "disabled") or attributes.get("result") in (
                "suppressed",
                "skipped",
            ):
                self._mark("skipped")
        elif self._open and self._open[-1] == "testcase" and name in _MARKS:
            self._mark(_MARKS[name])
        elif name in ("testsuites", "testsuite"):
            for field in ("failures", "errors", "skipped"):
                claimed = attributes.get(field, "")
                if claimed.isdecimal():
                    setattr(self.claimed, field, max(getattr(self.claimed, field), int(claimed[:9])))
        self._open.append(name)

    def end(self, name: str) -> None:
        self._open.pop()

    def _mark(self, field: str) -> None:
        if field not in self._seen:
            self._seen.add(field)
            setattr(self.counted, field, getattr(self.counted, field) + 1)


def read(content: bytes) -> Tally:
    """What a report says. Raises BadInput, which says what is wrong with it."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise BadInput(f"it is not whole XML ({error})") from error
    counted, claimed = reader.counted, reader.claimed
    return Tally(
        counted.tests,
        max(counted.failures, claimed.failures),
        max(counted.errors, claimed.errors),
        max(counted.skipped, claimed.skipped),
    )


def _refuse(*_: object) -> NoReturn:
    raise BadInput("it declares a document type or entities, which a test report has no use for")
