"""The README can't lie: its manifests are the examples, its commands run, its links lead somewhere."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from agenthost.models.catalog import BUILT_IN
from agenthost.models.detect import LOCAL
from tests.examples.command import EXAMPLES, PLAYBOOK, ROOT, environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONVERSATIONS = ROOT / "docs" / "conversations.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SAME = {"hello.yaml": "hello-agent/agent.yaml", "write-and-run.yaml": "first-workflow/workflow.yaml"}


def files() -> dict[str, str]:
    """The README's manifests by the name in their first line."""
    return {text.partition("\n")[0].removeprefix("# "): text for kind, text in BLOCKS if kind == "yaml"}


def commands() -> list[tuple[str, list[str]]]:
    """The commands of the README and the lines that it shows below each."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(text for kind, text in BLOCKS if kind == "console").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def test_its_manifests_are_the_examples() -> None:
    assert files().keys() == SAME.keys()
    for name, text in files().items():
        example = (EXAMPLES / SAME[name]).read_text(encoding="utf-8")
        assert list(yaml.safe_load_all(text)) == list(yaml.safe_load_all(example)), name


def test_its_commands_run_in_order_and_show_what_it_says(tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    env = environment(tmp_path / "home", f"scripted:{PLAYBOOK}")
    ran = commands()
    assert len(ran) >= 6
    for line, shown in ran:
        done = subprocess.run(
            shlex.split(line), env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        for words in shown:
            assert words in done.stdout, f"{line}: {done.stdout}"


def test_its_programs_run_with_a_host_that_serves(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(files()["hello.yaml"], encoding="utf-8")
    env = environment(tmp_path / "home", f"scripted:{PLAYBOOK}")
    applied = subprocess.run(
        ["agenthost", "apply", "-f", "hello.yaml"], env=env, cwd=tmp_path, capture_output=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    words = ["agenthost", "up", "--port", "0", "--no-open", "--json", "--quiet"]
    with subprocess.Popen(words, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        try:
            url = json.loads(host.stdout.readline())["url"]
            token = (tmp_path / "home" / "token").read_text().strip()
            programs = [text for kind, text in BLOCKS if kind == "python"]
            assert len(programs) == 2
            programs += re.findall(r"^```python\n(.*?)^```", CONVERSATIONS.read_text(), re.MULTILINE | re.DOTALL)
            assert len(programs) == 3
            for text in programs:
                command = [sys.executable, "-c", text]
                at = env | {"AGENTHOST_URL": url, "AGENTHOST_TOKEN": token}
                done = subprocess.run(
                    command, env=at, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
                )
                assert done.returncode == 0, done.stderr
                assert "A journal is" in done.stdout, done.stdout
        finally:
            host.terminate()
    assert host.returncode == 0


def test_its_links_lead_to_files() -> None:
    links = re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', README)
    paths = [link or source for link, source in links]
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_local_servers_that_it_names_are_those_that_are_found() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| on this machine"))
    named = set(re.findall(r"([a-z-]+):(?:NAME)?`", row))
    assert named == LOCAL.keys()
    assert named <= BUILT_IN.keys()


def test_its_make_targets_are_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake (install|demo|test|bench|build)\b", README)) <= set(targets)


def test_the_recording_names_no_path_of_the_machine_that_made_it() -> None:
    drawn = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    assert len(drawn) < 300_000
    assert "goes&#160;back&#160;to&#160;coder" in drawn
    assert re.findall(r"/(?:tmp|home|root|Users|work)/", drawn) == []
