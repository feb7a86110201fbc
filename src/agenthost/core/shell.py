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
