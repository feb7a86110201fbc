"""What stands in deploy/observability is true: each figure that a dashboard or an alert leans on is one that a host has,
with the labels that are asked for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.telemetry.conftest import Serves

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "observability"
_NAME = re.compile(r"\b(?:agenthost|process|python)_[a-z_]+\b")
_SELECTED = re.compile(r"\b((?:agenthost|process|python)_[a-z_]+)\{([^}]*)\}")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? ")
_ADDED = {"instance", "job", "le"}
"""Labels that Prometheus adds, or that belong to histograms."""


def expressions() -> list[tuple[str, str]]:
    """Every expression, with where it stands."""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    found = [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    board = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in board["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", ())]
    found += [(each["name"], each["query"]) for each in board["templating"]["list"]]
    return found


async def labels_of(serves: Serves) -> dict[str, set[str]]:
    """Each figure of a host that has done everything, with its labels."""
    found: dict[str, set[str]] = {}
    async with serves() as served:
        # What hasn't happened yet has no samples: these are made to.
        figures = served.host.telling.figures
        figures.untraced.add()
        figures.lag.add(0.0)
        figures.model_cost.add("m", "quick", by=0.0)
        for name in ("writer", "family", "broken"):
            await served.done(name)
        await served.metrics()
        async with served.client.get("/metrics") as answer:
            for line in (await answer.text()).splitlines():
                if not line.startswith("#") and (sample := _SAMPLE.match(line)):
                    told = re.findall(r'([a-z_]+)="', sample[2] or "")
                    found.setdefault(sample[1], set()).update(told)
    assert all(figure.labels == () or figure.sample() for figure in figures._all)  # pyright: ignore[reportPrivateUsage]
    return found


async def test_every_figure_that_is_leaned_on_exists_with_its_labels(serves: Serves) -> None:
    known = await labels_of(serves)
    told = expressions()
    assert len(told) > 50
    for where, expression in told:
        names = set(_NAME.findall(expression))
        assert names <= set(known) | {"agenthost_build"}, where
        for name, selector in _SELECTED.findall(expression):
            assert set(_LABEL.findall(selector)) <= known[name] | _ADDED, (where, name)
        grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
        assert grouped <= set().union(*(known[name] for name in names)) | _ADDED, where


async def test_every_figure_of_ours_is_in_the_documentation_and_the_other_way_round(serves: Serves) -> None:
    known = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in await labels_of(serves)}
    page = (ROOT / "docs" / "observability.md").read_text()
    rows = {name for line in page.splitlines() if line.startswith("| `agenthost_") for name in _NAME.findall(line)[:1]}
    ours = {name for name in known if name.startswith("agenthost_")}
    assert {re.sub(r"_total$", "", name) for name in rows} == ours


@pytest.mark.parametrize("file", ["dashboard.json", "alerts.yaml"])
def test_they_are_well_formed_and_nothing_stands_twice(file: str) -> None:
    text = (FOLDER / file).read_text()
    told: Any = json.loads(text) if file.endswith("json") else yaml.safe_load(text)
    if file.endswith("json"):
        ids = [panel["id"] for panel in told["panels"]]
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in told["panels"]]
        assert len(set(ids)) == len(ids)
        assert len(set(places)) == len(places)
        assert all(place["gridPos"]["x"] + place["gridPos"]["w"] <= 24 for place in told["panels"])
    else:
        names = [rule["alert"] for group in told["groups"] for rule in group["rules"]]
        assert len(set(names)) == len(names)
        for group in told["groups"]:
            for rule in group["rules"]:
                assert rule["labels"]["severity"] in ("critical", "warning", "info")
                assert rule["annotations"]["summary"]
