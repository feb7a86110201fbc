"""The command itself, in a process of its own: what it costs, what it says, its exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost import __version__
from agenthost.cli.verbs import VERBS

HEAVY = ("rich", "pydantic", "msgspec", "aiohttp", "structlog", "yaml", "asyncio", "argparse")


def command(*words: str, home: Path | None = None, more: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AGENTHOST", "OPENAI"))}
    env |= {"COLUMNS": "100"} | ({"AGENTHOST_HOME": str(home)} if home else {})
    line = [sys.executable, *(more or []), "-m", "agenthost.cli", *words]
    return subprocess.run(line, env=env, text=True, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["completion", "bash"], ["nonsense"], []])
def test_what_people_type_most_loads_nothing_heavy(words: list[str]) -> None:
    done = command(*words, more=["-X", "importtime"])
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "agenthost" in loaded
    assert not loaded & set(HEAVY)


def test_help_lists_every_verb_with_its_line() -> None:
    out = command("--help").stdout
    for verb, (_, summary, _) in VERBS.items():
        assert f"{verb} " in out
        assert summary in out


def test_version_says_which() -> None:
    assert command("--version").stdout == f"agenthost {__version__}\n"


def test_an_unknown_verb_names_the_nearest_and_exits_with_2() -> None:
    done = command("taks", "list")
    assert done.returncode == 2
    assert "did you mean `tasks`" in done.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "completion"])
def test_every_verb_has_help_with_examples_and_json(verb: str) -> None:
    done = command(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "examples:\n  agenthost" in done.stdout or "AGENTHOST_MODEL" in done.stdout
    assert "--json" in done.stdout
    for word in VERBS[verb][2] if verb in ("tasks", "secrets", "model", "agent") else ():
        assert "examples:" in command(verb, word, "--help").stdout


def test_bad_usage_exits_with_2_and_names_the_way_out() -> None:
    done = command("run")
    assert done.returncode == 2
    assert "See `agenthost run --help`" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_verb_and_word(shell: str) -> None:
    script = command("completion", shell).stdout
    for verb, (_, _, words) in VERBS.items():
        assert verb in script
        assert all(word in script for word in words)


def test_bash_completes_verbs_and_words_after_them() -> None:
    script = command("completion", "bash").stdout
    ask = script + "COMP_WORDS=(agenthost tasks f); COMP_CWORD=2; _agenthost; echo ${COMPREPLY[@]}"
    assert subprocess.run(["bash", "-c", ask], text=True, capture_output=True, check=True).stdout == "follow fork\n"


def test_completion_of_no_known_shell_exits_with_2() -> None:
    assert command("completion", "tcsh").returncode == 2


def test_an_interrupt_while_a_verb_is_being_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from agenthost.cli import launch
    from agenthost.cli.main import main

    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch.importlib, "import_module", interrupted)
    assert main(["tasks", "list"]) == 130
