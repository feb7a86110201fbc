"""The drop-in folder of manifests."""

from pathlib import Path

import pytest

from agenthost.core.api import Applied, ManifestProblem
from agenthost.core.errors import Temporary
from agenthost.host import folder as module
from agenthost.host.folder import ManifestFolder, read_texts
from tests.host.conftest import ECHO, PAIR, PLAYS, Lines, Opens

BROKEN = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: x}\nspec: {instruction: a}\n"


async def names(host: object) -> list[str]:
    return [name for kind in ("agent", "workflow") for name in await host.manifests(kind)]  # type: ignore[attr-defined]


async def test_files_are_applied_at_start_and_a_broken_one_hinders_only_what_needs_it(
    opens: Opens, log: Lines, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "manifests"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(PAIR.replace("agent: echo", "agent: x"))
    (folder / "b.yaml").write_text(BROKEN)
    (folder / "c.yml").write_text(ECHO)
    (folder / "notes.txt").write_text("not a manifest")
    (folder / "gone.yaml").symlink_to(tmp_path / "nowhere")
    host = await opens()
    assert await names(host) == ["echo"]
    assert {Path(str(line["file"])).name for line in log.errors()} == {"a.yaml", "b.yaml", "gone.yaml"}


async def test_a_change_reaches_a_running_host(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Lines
) -> None:
    import asyncio

    monkeypatch.setattr(module, "LOOK", 0.01)
    host = await opens(PLAYS, work=True)
    folder = tmp_path / "home" / "manifests"
    folder.mkdir()
    (folder / "a.yaml").write_text("metadata: {")
    while not log.errors():
        await asyncio.sleep(0.005)
    assert await names(host) == []
    (folder / "a.yaml").write_text(ECHO)
    (folder / "b.yaml").write_text(PAIR)
    while await names(host) != ["echo", "pair"]:
        await asyncio.sleep(0.005)
    (folder / "b.yaml").write_text(PAIR.replace("replicas: 2", "replicas: 3"))
    while host.library.replicas("default", "pair/one") != 3:
        await asyncio.sleep(0.005)


async def test_what_could_not_be_kept_is_tried_again_and_what_is_broken_is_told_once(tmp_path: Path) -> None:
    log = Lines()
    calls: list[dict[str, str]] = []

    async def apply(texts: dict[str, str]) -> tuple[list[Applied], list[ManifestProblem]]:
        calls.append(texts)
        if len(calls) == 1:
            raise Temporary("the disk is full", code="disk-full")
        return [Applied("agent", "echo", "created"), Applied("agent", "other", "unchanged")], []

    folder = ManifestFolder(tmp_path, apply, log)
    await folder.take()
    assert calls == []
    (tmp_path / "a.yaml").write_text(ECHO)
    for _ in range(3):
        await folder.take()
    assert len(calls) == 2
    assert [event for _, event, _ in log.lines] == ["manifests not applied", "manifest applied"]


async def test_a_problem_of_no_file_ends_the_trying(tmp_path: Path) -> None:
    log = Lines()

    async def apply(texts: dict[str, str]) -> tuple[list[Applied], list[ManifestProblem]]:
        return [], [ManifestProblem("elsewhere", 1, 1, "", "odd")]

    (tmp_path / "a.yaml").write_text(ECHO)
    await ManifestFolder(tmp_path, apply, log).take()
    assert len(log.errors()) == 1


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_texts(tmp_path / "file") == read_texts(tmp_path / "nowhere") == ({}, {})
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert list(read_texts(loop)[1]) == [str(loop)]
