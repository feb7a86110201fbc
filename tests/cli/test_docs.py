from pathlib import Path

from agenthost.cli.docs import page

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_of_the_command_line_is_fresh() -> None:
    assert DOCS.read_text() == page(), "run: .venv/bin/python -m agenthost.cli.docs > docs/cli.md"
