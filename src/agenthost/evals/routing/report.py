"""The figures as tables for people, and as one object for programs."""

from typing import Any

from agenthost.evals.routing.scoring import LEAST_PRECISION, Score, Tally, Verdict, wilson

COLUMNS = ["of", "which", "messages", "decided", "right", "precision", "coverage"]


def passes(score: Score) -> bool:
    """Whether the rules are as sure as they must be."""
    return score.total.precision >= LEAST_PRECISION


def rows(score: Score) -> list[list[str]]:
    """The table: rules, the whole, halves, meanings, languages; and the rule that guesses beside them."""
    made = [_row("rule", name, tally, part=False) for name, tally in sorted(score.rules.items())]
    made.append(_row("all", "all rules", score.total))
    for head, tallies in (("half", score.halves), ("meaning", score.meanings), ("language", score.languages)):
        made += [_row(head, name, tally) for name, tally in sorted(tallies.items())]
    made.append(_row("beside", "the only waiting task, blindly", score.blind, part=False))
    return made


def lines(score: Score) -> list[str]:
    """What else there is to say."""
    low, high = wilson(score.total.right, score.total.decided)
    total, ranking, digests = score.total, score.ranking, score.digests
    made = [
        f"{total.turns} messages in {score.conversations} conversations; rules decide {total.decided} of them, {total.right} rightly: "
        f"precision {total.precision:.3f} (95 %: {low:.3f} to {high:.3f}), coverage {total.coverage:.3f}; of those {total.task} name the right task",
    ]
    if digests:
        calls = len(digests) / total.turns
        made.append(
            f"the other {len(digests)} are one model call each ({calls:.2f} a message): {max(digests)} tokens at most, {sum(digests) / len(digests):.0f} in the mean"
        )
    if ranking.turns:
        made.append(
            f"of those, {ranking.turns} are for a task that is known: it ranks first for {ranking.first / ranking.turns:.3f}, among five for "
            f"{ranking.five / ranking.turns:.3f}, among twelve for {ranking.shown / ranking.turns:.3f}; mean reciprocal rank {ranking.likelihood:.3f}"
        )
    return made


def wrong(score: Score) -> list[list[str]]:
    """What was decided wrongly: message, rule, decision, label, words."""
    return [_wrong(verdict) for verdict in score.wrong]


def figures(score: Score) -> dict[str, Any]:
    """Everything for programs."""
    digests = score.digests
    return {
        "conversations": score.conversations,
        "passes": passes(score),
        "total": _tally(score.total),
        **{
            name: {key: _tally(tally) for key, tally in sorted(tallies.items())}
            for name, tallies in (
                ("rules", score.rules),
                ("halves", score.halves),
                ("meanings", score.meanings),
                ("languages", score.languages),
            )
        },
        "blind_only_waiting": _tally(score.blind),
        "ranking": score.ranking,
        "digest_tokens": {"most": max(digests, default=0), "mean": sum(digests) / len(digests) if digests else 0.0},
        "calls_a_message": len(digests) / score.total.turns if score.total.turns else 0.0,
        "wrong": [
            dict(zip(("message", "rule", "decision", "label", "text"), _wrong(one), strict=True)) for one in score.wrong
        ],
    }


def _row(head: str, name: str, tally: Tally, part: bool = True) -> list[str]:
    turns, coverage = (str(tally.turns), f"{tally.coverage:.3f}") if part else ("", "")
    return [head, name, turns, str(tally.decided), str(tally.right), f"{tally.precision:.3f}", coverage]


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "messages": tally.turns,
        "decided": tally.decided,
        "right": tally.right,
        "right_task": tally.task,
        "precision": tally.precision,
        "coverage": tally.coverage,
    }


def _wrong(verdict: Verdict) -> list[str]:
    case, decision = verdict.case, verdict.decision
    if decision is None:
        return [case.key, "", "", "", case.spoken.text]
    names = {id: name for name, id in case.ids.items()}
    said = f"{names.get(decision.task, decision.task)} {decision.meaning}".strip()
    label = " ".join(f"{key} {value}" for key, value in case.turn.label.items())
    return [case.key, decision.rule, said, label, case.spoken.text]
