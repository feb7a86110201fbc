"""What decides the exit code of a line."""

import pytest

from agenthost.core.shell import deciding


@pytest.mark.parametrize(
    ("line", "decides"),
    [
        ("pytest", ["pytest"]),
        ("cd a && pytest -q 2>&1", ["cd a", "pytest -q 2>&1"]),
        ("pytest; ls", ["ls"]),
        ("pytest\nls", ["ls"]),
        ("pytest;", ["pytest"]),
        ("set -e\npytest\nls", ["set -e", "pytest", "ls"]),
        ("pytest | tail", ["tail"]),
        ("set -o pipefail; pytest | tail", ["pytest", "tail"]),
        ("pytest || exit 1", ["pytest"]),
        ("CI=1 X='a b' timeout 60 env pytest -k 'a or b; c'", ["pytest -k 'a or b; c'"]),
        ("bash -lc 'cd x && pytest'", ["cd x", "pytest"]),
        ("(cd x && pytest)", ["cd x", "pytest"]),
        ("pytest # || true", ["pytest"]),
        ("echo 'a # b'; pytest", ["pytest"]),
        ("cat > a.py <<'EOF'\nif x; then\nEOF\npytest", ["pytest"]),
        ("pytest > a.txt 2>&1", ["pytest > a.txt 2>&1"]),
    ],
)
def test_the_commands_that_a_line_ends_well_by(line: str, decides: list[str]) -> None:
    assert deciding(line) == decides


@pytest.mark.parametrize(
    "line",
    [
        "",
        "pytest &",
        "! pytest",
        "pytest || true",
        "pytest || python x.py",
        "bash -c 'pytest || true'",
        'eval "pytest || true"',
        "if pytest; then :; fi",
        "for t in a b; do pytest $t; done",
        "trap 'exit 0' EXIT; pytest",
        "pytest && ls || true",
    ],
)
def test_a_line_of_which_nobody_knows_says_nothing(line: str) -> None:
    assert deciding(line) == []
