"""A judge's answer, and what is left of it after the rules of evidence."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.programs.supervisor.evidence import Case, impossible, proof, weakness

Outcome = Literal["done", "partly", "blocked", "unachievable", "needs-person"]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "number": {"type": "integer", "description": "The criterion's number, from 1."},
                    "met": {"type": "boolean"},
                    "evidence": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "event": {"type": "integer", "description": "The number of a receipt."},
                                "quote": {
                                    "type": "string",
                                    "description": "A few words of it, letter by letter; or empty.",
                                },
                            },
                            "required": ["event", "quote"],
                            "additionalProperties": False,
                        },
                    },
                    "missing": {"type": "string", "description": "What is missing, where it isn't met; else empty."},
                },
                "required": ["number", "met", "evidence", "missing"],
                "additionalProperties": False,
            },
        },
        "verdict": {"type": "string", "enum": ["done", "partly", "blocked", "unachievable", "needs-person"]},
        "reason": {"type": "string"},
        "question": {"type": "string", "description": "With needs-person: what the person is asked; else empty."},
    },
    "required": ["criteria", "verdict", "reason", "question"],
    "additionalProperties": False,
}
"""The shape of a judge's answer."""


class Refused(Struct, frozen=True):
    """A piece of evidence that doesn't hold, and why."""

    event: int
    why: str


class Found(Struct, frozen=True, omit_defaults=True):
    """One criterion: whether it is met, by which events, what is missing. `by`: who found it so."""

    number: int
    text: str
    met: bool
    evidence: tuple[int, ...] = ()
    missing: str = ""
    refused: tuple[Refused, ...] = ()
    by: Literal["judge", "checks", "host"] = "judge"


class Judgement(Struct, frozen=True, omit_defaults=True):
    """What a judgement came to: the verdict that follows from the criteria, and each of them."""

    verdict: Outcome
    criteria: tuple[Found, ...]
    reason: str = ""
    question: str = ""

    @property
    def unmet(self) -> tuple[Found, ...]:
        """The criteria that aren't met."""
        return tuple(one for one in self.criteria if not one.met)

    @property
    def evidence(self) -> tuple[int, ...]:
        """The events that show what is met."""
        return tuple(sorted({event for one in self.criteria for event in one.evidence}))


def judged(case: Case, answer: dict[str, Any]) -> Judgement:
    """A judge's answer, of SCHEMA, after the rules. What it doesn't speak of is unmet."""
    said: dict[int, dict[str, Any]] = {}
    for one in answer["criteria"]:
        if one["number"] not in said or not one["met"]:
            said[one["number"]] = one
    criteria = tuple(_found(case, number, said.get(number)) for number in range(1, len(case.criteria) + 1))
    wanted: Outcome = answer["verdict"]
    if all(one.met for one in criteria):
        verdict: Outcome = "done" if wanted == "partly" else wanted
    else:
        verdict = "partly" if wanted == "done" else wanted
    reason = answer["reason"].strip()
    if verdict == "partly":
        reason = "; ".join(f"criterion {one.number}: {one.missing}" for one in criteria if not one.met)
    question = answer["question"].strip() or reason
    return Judgement(verdict, criteria, reason, question if verdict == "needs-person" else "")


def without_judge(case: Case) -> Judgement | None:
    """The judgement where checks prove every criterion; None where a judge is needed."""
    proofs = [proof(case, number) for number in range(1, len(case.criteria) + 1)]
    return judged(case, {"criteria": [], "verdict": "done", "reason": "", "question": ""}) if all(proofs) else None


def _found(case: Case, number: int, said: dict[str, Any] | None) -> Found:
    text = case.criteria[number - 1]
    proved = proof(case, number)
    if proved is not None:
        events, why = proved
        return Found(number, text, not why, events, why, by="checks")
    if said is None:
        return Found(number, text, False, missing="the judge said nothing of it")
    if not said["met"]:
        return Found(number, text, False, missing=said["missing"].strip() or "the judge doesn't say what")
    why = impossible(case, text)
    if why:
        return Found(number, text, False, missing=why, by="host")
    holds: list[int] = []
    refused: list[Refused] = []
    for piece in said["evidence"]:
        weak = weakness(case, number, piece["event"], piece["quote"].strip())
        if weak:
            refused.append(Refused(piece["event"], weak))
        elif piece["event"] not in holds:
            holds.append(piece["event"])
    if holds:
        return Found(number, text, True, tuple(holds), refused=tuple(refused))
    # What came nearest to showing it is told: a run before a file, and either before what is no receipt at all.
    near = {one.event: 1 + (one.kind in ("run", "check")) for one in case.receipts}
    whys = [piece.why for piece in sorted(refused, key=lambda piece: near.get(piece.event, 0))]
    missing = "; ".join(list(dict.fromkeys(whys))[:-4:-1]) or "nothing that the host saw is named for it"
    return Found(number, text, False, (), f"no evidence of it holds: {missing}", tuple(refused[-20:]), "host")


def read(value: Any) -> Judgement | None:
    """A judgement as it was told in a task's result."""
    try:
        return msgspec.convert(value, Judgement)
    except msgspec.ValidationError:
        return None
