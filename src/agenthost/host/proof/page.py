"""An evidence pack for people, as Markdown."""

from datetime import UTC, datetime

import msgspec

from agenthost.core.evidence import Criterion, EvidencePack, Shown

_MET = {True: "met", False: "**unmet**", None: "not judged"}


def page(pack: EvidencePack, level: int = 1) -> str:
    """The pack as a page; the packs below it under headings of their own."""
    head = "#" * level
    lines = [f"{head} Evidence: task {pack.task}", ""]
    lines += [f"- what ran: {pack.kind} `{pack.name}`" + (f", rule `{pack.rule}`" if pack.rule else "")]
    lines += [f"- verdict: **{pack.outcome or 'not ended yet'}**" + (f": {_line(pack.reason)}" if pack.reason else "")]
    lines += [f"- began {_at(pack.began)}" + (f", ended {_at(pack.ended)}" if pack.ended else "")]
    lines += [f"- read from {pack.events} events of the journal, `{pack.journal}`"]
    if pack.imported:
        lines.append(f"- **imported**: it was done elsewhere, as `{pack.imported}`; this host saw nothing of it")
    if pack.judges:
        lines.append(f"- judged by {', '.join(f'`{task}`' for task in pack.judges)}")
    if pack.criteria:
        lines += [
            "",
            f"{head}# Criteria",
            "",
            "| # | criterion | verdict | by | evidence |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [_criterion(one) for one in pack.criteria]
    if pack.shown:
        lines += ["", f"{head}# What the host saw", "", "| event | when | what | came to | hash of the output |"]
        lines += ["| --- | --- | --- | --- | --- |", *(_shown(one) for one in pack.shown)]
    if pack.files:
        lines += ["", f"{head}# Files that it changed", ""]
        lines += [f"- `{_line(path)}`: {f'`{name}`' if name else 'removed'}" for path, name in pack.files.items()]
    if pack.claims:
        lines += ["", f"{head}# What the agent says, which shows nothing", ""]
        lines += [f"> {line}" for line in pack.claims.split("\n")]
    for below in pack.below:
        lines += ["", page(below, level + 1).rstrip()]
    return "\n".join(lines) + "\n"


def _criterion(one: Criterion) -> str:
    evidence = ", ".join(map(str, one.evidence))
    refused = "; ".join(f"{event} refused: {why}" for event, why in one.refused)
    told = "; ".join(piece for piece in (evidence and f"events {evidence}", one.missing, refused) if piece)
    return f"| {one.number} | {_cell(one.text)} | {_MET[one.met]} | {one.by} | {_cell(told)} |"


def _shown(one: Shown) -> str:
    came = "passed" if one.ok else f"**failed**: {one.reason}"
    if one.exit_code is not None:
        came += f", exit code {one.exit_code}"
    facts = msgspec.json.encode(one.facts).decode() if one.facts else ""
    kind = f"{one.kind} of round {one.round}" if one.round else one.kind
    return f"| {one.event} | {_at(one.at)} | {kind}: {_cell(one.what[:200])} | {_cell(f'{came} {facts[:200]}'.strip())} | {one.output} |"


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """Words that stay in their cell, and are words there."""
    return _line(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
