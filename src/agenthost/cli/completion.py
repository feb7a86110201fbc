"""`agenthost completion bash|zsh|fish`: a script made from the verb table. Loads nothing else."""

import sys

from agenthost.cli.verbs import GLOBALS, VERBS

HELP = """usage: agenthost completion bash|zsh|fish

Print a script that completes words in your shell.

examples:
  source <(agenthost completion bash)                                       # in ~/.bashrc
  source <(agenthost completion zsh)                                        # in ~/.zshrc, after compinit
  agenthost completion fish > ~/.config/fish/completions/agenthost.fish
"""

_TASK_WORDS = ("show", "follow", "artifacts", "cancel", "reply", "approve", "deny", "replay", "fork", "export")
_NAMES = "{ agenthost get agents --names; agenthost get workflows --names; } 2>/dev/null"
_TASKS = "{ echo last; agenthost tasks list --names; } 2>/dev/null"


def main(words: list[str]) -> int:
    """Print the script of the shell that `words` name; the exit code."""
    shells = [word for word in words if not word.startswith("-")]
    if "--help" in words or "-h" in words:
        sys.stdout.write(HELP)
        return 0
    makers = {"bash": bash, "zsh": zsh, "fish": fish}
    if len(shells) != 1 or shells[0] not in makers:
        sys.stderr.write("agenthost completion: name a shell: bash, zsh or fish\n")
        return 2
    script = makers[shells[0]]()
    if "--json" in words:
        import json

        script = json.dumps({"shell": shells[0], "script": script}) + "\n"
    sys.stdout.write(script)
    return 0


def _options() -> str:
    return " ".join([*GLOBALS, "--json", "--help"])


def bash() -> str:
    """Words by their place: the verb, the word after it, then names, tasks or files."""
    after = "\n".join(f'      {verb}) words="{" ".join(more)}" ;;' for verb, (_, _, more) in VERBS.items() if more)
    return f"""_agenthost() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}} second=${{COMP_WORDS[2]}} words=
  if [[ $word == -* ]]; then
    words="{_options()}"
  elif [[ $COMP_CWORD -eq 1 ]]; then
    words="{" ".join(VERBS)}"
  elif [[ $verb == run && $COMP_CWORD -eq 2 ]]; then
    words=$({_NAMES})
  elif [[ $COMP_CWORD -eq 2 ]]; then
    case $verb in
{after}
    esac
  elif [[ $COMP_CWORD -eq 3 && $verb == tasks && " {" ".join(_TASK_WORDS)} " == *" $second "* ]]; then
    words=$({_TASKS})
  elif [[ $COMP_CWORD -eq 3 && ( $verb == get || $verb == delete ) ]]; then
    words=$(agenthost get "$second" --names 2>/dev/null)
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _agenthost agenthost
"""


def zsh() -> str:
    """The same through zsh's own arrays, with the verbs' lines beside them."""
    verbs = "\n".join(f"      '{verb}:{_quoted(text)}'" for verb, (_, text, _) in VERBS.items())
    after = "\n".join(f"      {verb}) compadd -- {' '.join(more)} ;;" for verb, (_, _, more) in VERBS.items() if more)
    return f"""#compdef agenthost
_agenthost() {{
  if [[ $words[CURRENT] == -* ]]; then
    compadd -- {_options()}
  elif (( CURRENT == 2 )); then
    local -a verbs=(
{verbs}
    )
    _describe verb verbs
  elif [[ $words[2] == run && CURRENT -eq 3 ]]; then
    compadd -- ${{(f)"$({_NAMES})"}}
  elif (( CURRENT == 3 )); then
    case $words[2] in
{after}
      *) _files ;;
    esac
  elif [[ CURRENT -eq 4 && $words[2] == tasks && $words[3] != list ]]; then
    compadd -- ${{(f)"$({_TASKS})"}}
  elif [[ CURRENT -eq 4 && ( $words[2] == get || $words[2] == delete ) ]]; then
    compadd -- ${{(f)"$(agenthost get $words[3] --names 2>/dev/null)"}}
  else
    _files
  fi
}}
compdef _agenthost agenthost
"""


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''").replace(":", "\\:")


def fish() -> str:
    """A line for each word."""
    none = "__fish_use_subcommand"
    lines = [
        "complete -c agenthost -l json -d 'JSON instead of words'",
        "complete -c agenthost -l help -d 'how it is used'",
    ]
    lines += [f"complete -c agenthost -l {option[2:]} -r -d '{text}'" for option, (_, text) in GLOBALS.items()]
    for verb, (_, text, more) in VERBS.items():
        said = text.replace("'", "\\'")
        lines.append(f"complete -c agenthost -n {none} -f -a {verb} -d '{said}'")
        if more:
            unseen = " ".join(more)
            seen = f"__fish_seen_subcommand_from {verb}; and not __fish_seen_subcommand_from {unseen}"
            lines.append(f"complete -c agenthost -n '{seen}' -f -a '{unseen}'")
    seen = f"__fish_seen_subcommand_from tasks; and __fish_seen_subcommand_from {' '.join(_TASK_WORDS)}"
    lines.append(
        f"complete -c agenthost -n '{seen}' -f -a '(begin; echo last; agenthost tasks list --names; end 2>/dev/null)'"
    )
    named = "(begin; agenthost get agents --names; agenthost get workflows --names; end 2>/dev/null)"
    lines.append(f"complete -c agenthost -n '__fish_seen_subcommand_from run' -a '{named}'")
    return "\n".join(lines) + "\n"
