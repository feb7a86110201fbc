"""What a shell line's exit code says, as far as the line alone tells."""

import re

_HIDES = re.compile(
    r"\|\|\s*(true|:|exit\s+0|echo\b.*)\s*;?\s*$|(?:(?<!&)&|;|\n)\s*(true|:|exit\s+0|echo\b[^;&|]*)\s*;?\s*$|(?<!&)&\s*$"
)
_PIPED = re.compile(
    r"(?<!\|)\|(?!\|)&?\s*(tee|cat|head|tail|less|more|sort|uniq|sed|awk|tr|cut|wc|xargs\s+echo)\b[^|]*$"
)
_WORDS = re.compile(r"^\s*((echo|printf|true|:)\b[^;&|<>`$\n]*)([;&\n]+\s*(echo|printf|true|:)\b[^;&|<>`$\n]*)*$")


def hides_exit(line: str) -> bool:
    """Whether the exit code is that of something which can't fail (`|| true`, `; echo done`), or of a filter at the end of
    a pipe (`| tee log`), whatever became of the rest."""
    return _HIDES.search(line) is not None or (_PIPED.search(line) is not None and "pipefail" not in line)


def only_says(line: str) -> bool:
    """Whether a line does nothing but print words."""
    return _WORDS.match(line) is not None


_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n(?:.*?\n)??\s*\2(?=\n|$)", re.S)
_ENDS = (";", "\n", "&", "")
_FAILS = re.compile(r"(?:exit|return)\s+[1-9]\d*$|false$")
_CONTROL = re.compile(
    r"(?:!|if|then|else|elif|fi|for|while|until|do|done|case|esac|select|function|trap|\{|\})(?=\s|$)"
)
_BEFORE = re.compile(
    r"(?:\w+=(?:'[^']*'|\"[^\"]*\"|\S)*\s+|(?:\S*/)?(?:env|command|exec|time|nice|nohup|sudo)\s+(?:-\w+\s+)*"
    r"|(?:\S*/)?timeout\s+(?:-\S+\s+)*\S+\s+)+"
)
_WITHIN = re.compile(r"(?:(?:\S*/)?(?:ba|da|z)?sh\s+(?:-\w+\s+)*-\w*c|eval)\s+(['\"])(.*)\1\s*$", re.S)


def deciding(line: str) -> list[str]:
    """The commands that have all succeeded where a line exits with 0; none where the line alone doesn't tell."""
    pieces = _pieces(_HEREDOC.sub(r"\3", line))
    whole = any(re.match(r"set\s+-\w*e", command) for _, command in pieces)
    lists: list[list[tuple[str, str]]] = [[]]
    for operator, command in pieces:
        if operator in _ENDS:
            if operator == "&":
                lists.append([])  # what went to the background decides nothing
            lists.append([])
        if command:
            lists[-1].append((operator, command))
    full = [one for one in lists if one]
    found: list[str] = []
    for commands in full if whole else full[-1:]:
        kept = _kept(commands, "pipefail" in line)
        inner = [_inner(command) for command in kept]
        if not kept or not all(inner):
            return []
        found += [command for one in inner for command in one]
    last = pieces[-1] if pieces else ("", "")
    unsure = last == ("&", "") or any(command.startswith("trap ") for _, command in pieces)
    return [] if unsure else found


def _kept(commands: list[tuple[str, str]], pipefail: bool) -> list[str]:
    """Of a list joined by `&&`, `||` and `|` the commands that have succeeded where it has."""
    kept: list[str] = []
    for operator, command in commands:
        if operator == "||":
            if not _FAILS.match(command):
                return []
            continue
        if operator in ("|", "|&") and kept and not pipefail:
            kept.pop()
        kept.append(command)
    return kept


def _inner(command: str) -> list[str]:
    """A command without what only stands before it; of a shell within the shell its own."""
    plain = command[found.end() :] if (found := _BEFORE.match(command)) else command
    if plain.startswith("(") and plain.endswith(")"):
        return deciding(plain[1:-1])
    if (within := _WITHIN.match(plain)) is not None:
        return deciding(within[2])
    return [] if _CONTROL.match(plain) else [plain]


def _pieces(line: str) -> list[tuple[str, str]]:
    """A line's commands, each with the operator before it; quotes and brackets are left whole."""
    found: list[tuple[str, str]] = []
    operator, text, quote, depth, at = "", "", "", 0, 0
    while at < len(line):
        sign, two = line[at], line[at : at + 2]
        step = 2 if sign == "\\" and quote != "'" else 1
        if quote or sign in "'\"`":
            quote = quote if step == 2 else "" if sign == quote else quote or sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "#" and not depth and not text[-1:].strip():
            at += len(line[at:].partition("\n")[0])
            continue
        elif not depth and step == 1 and sign in ";\n&|" and two != "&>" and text[-1:] not in (">", "<"):
            step = 2 if two in ("&&", "||", "|&", ";;") else 1
            found.append((operator, text.strip()))
            operator, text = line[at : at + step], ""
            at += step
            continue
        text += line[at : at + step]
        at += step
    return [*found, (operator, text.strip())]
