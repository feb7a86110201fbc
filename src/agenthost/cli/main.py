"""The entry: finds the verb, loads its module, runs it, and turns errors into exit codes.

Nothing heavy is imported here: `agenthost --help` costs what a bare interpreter costs.
"""

import sys

from agenthost.cli.verbs import GLOBALS, VERBS, overview


def _write(stream_text: str) -> None:
    sys.stdout.write(stream_text + "\n")


def split(words: list[str]) -> tuple[list[str], str, list[str]]:
    """Options before the verb, the verb (`""` where there is none), and what comes after it."""
    before: list[str] = []
    at = 0
    while at < len(words) and words[at].startswith("-"):
        before.append(words[at])
        if words[at] in GLOBALS and at + 1 < len(words):
            at += 1
            before.append(words[at])
        at += 1
    return before, words[at] if at < len(words) else "", words[at + 1 :]


def main(argv: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    before, verb, after = split(words)
    if "--version" in before:
        from agenthost import __version__

        _write(f"agenthost {__version__}")
        return 0
    if "--help" in before or "-h" in before or (not verb and not before):
        _write(overview())
        return 0
    if verb == "help":
        verb, after = (after[0], ["--help"]) if after else ("", [])
        if not verb:
            _write(overview())
            return 0
    if verb not in VERBS:
        return _unknown(verb)
    if verb == "completion":
        from agenthost.cli.completion import main as complete

        return complete([*before, *after])
    try:
        from agenthost.cli.launch import launch

        return launch(verb, [*before, *after])
    except KeyboardInterrupt:  # while the verb was being loaded
        return 130


def _unknown(verb: str) -> int:
    if not verb:
        sys.stderr.write("agenthost: name a verb; `agenthost --help` lists them\n")
        return 2
    from difflib import get_close_matches

    close = get_close_matches(verb, VERBS, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`?" if close else "`agenthost --help` lists them"
    sys.stderr.write(f"agenthost: there is no verb '{verb}'; {hint}\n")
    return 2
