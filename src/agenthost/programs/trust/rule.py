"""The rule: what of a call was decided by content that a stranger can have written.

It is asked only once something of that kind was read; before, nobody but the person, the manifest and the host can
have decided anything. A value is *covered* where the person or the manifest said it, where a trusted tool gave it,
or where it singles out the record that the person meant. The decision is covered where the person's words ask for
the tool. What isn't covered is a doubt.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.definitions import PinnedTool
from agenthost.core.manifests.trust import TrustSpec
from agenthost.core.models import Turn
from agenthost.programs.trust import chosen
from agenthost.programs.trust.intent import asked_for, replies
from agenthost.programs.trust.values import ENDPOINTS, FILES, Leaf, empty, leaves, matters, name_words
from agenthost.programs.trust.words import EMAIL, Words, fold, split_url, urls

Effect = Literal["", "reads", "acts", "runs"]
"""What a call can do to the world outside its task: nothing; reach out by what it is told to read; change something;
run code that has a network."""

_NAMED = re.compile(r"[^<>@:/\\\d\n]{0,60}<([^<>\s]+)>")
_DOMAIN = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}[/?:#]\S*", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d ()/-]{7,20}")

UNASKED = "nothing that you said asks for it"
OTHERWISE = "you said it, but not for this"


class Doubt(Struct, frozen=True):
    """What isn't covered: an argument's path and its value, or (no argument) that the call is made; where it is from."""

    argument: str
    value: Any
    origin: str


class Known(Struct, frozen=True):
    """What a call is judged by. `words` are the person's, `manifest` the manifest's; `turns` the exchange, `clean` how
    many of them were there before the first that a stranger can have written; `written` the files of the work's own;
    `links` how many more links to unnamed hosts may be followed; `keys` the fields by which a tool's records are told
    apart; `reads` the tools that only read, `meant` those that the person's words ask for as a model reads them that sees
    nothing else, with the values for each. `verbs`: what isn't read may be told by a verb. `exact`: who is named by an
    address is told apart by it."""

    words: Words
    manifest: Words
    turns: Sequence[Turn]
    clean: int
    written: Container[str] = ()
    links: int = chosen.MOST_LINKS
    meant: Mapping[str, Words] = msgspec.field(default_factory=dict[str, Words])
    reads: Container[str] = ()
    keys: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    verbs: bool = True
    exact: bool = False


class Judgement(Struct, frozen=True):
    """The doubts about a call, and how many links to unnamed hosts it follows."""

    doubts: tuple[Doubt, ...] = ()
    links: int = 0


def effect(tool: PinnedTool, network: bool) -> Effect:
    """What a tool can do outside its task. What is written in the workspace stays in it; that it works only there is
    believed of the host's own tools."""
    if tool.sandbox and not tool.source:
        return "runs" if network else ""
    if tool.workspace and not tool.source:
        return ""
    return "reads" if tool.read_only else "acts"


def judge(tool: PinnedTool, arguments: dict[str, Any], trust: TrustSpec, known: Known, network: bool) -> Judgement:
    """The doubts about a call of a task that has read untrusted content."""
    kind = effect(tool, network)
    if kind == "runs" and tool.name not in trust.actions:
        return Judgement((Doubt("", "", "code and files that were made after that are run with a network"),))
    if kind in ("", "runs"):
        return Judgement()
    return _Call(tool, arguments, trust, known).judge(kind)


class _Call:
    """One call, looked at."""

    def __init__(self, tool: PinnedTool, arguments: dict[str, Any], trust: TrustSpec, known: Known) -> None:
        self._tool, self._trust, self._known = tool, trust, known
        self._leaves = leaves(arguments, tool.parameters)
        self._results = chosen.results(known.turns, known.clean)
        self._links = 0
        self._said = known.words

    def judge(self, kind: Effect) -> Judgement:
        known = self._known
        declared = self._trust.targets.get(self._tool.name)
        if kind == "reads":
            told = declared if declared is not None else self._tool.targets
            wanted = [leaf for leaf in self._leaves if _endpoint(leaf) or leaf.argument in (told or ())]
        else:
            wanted = [leaf for leaf in self._leaves if matters(self._tool, declared, leaf)]
        open = [leaf for leaf in wanted if not self._covered(leaf, kind)]
        doubts = [Doubt(leaf.path, leaf.value, came_from(leaf.value, known.turns)) for leaf in open]
        if kind == "acts" and self._tool.name not in self._trust.actions:
            doubts += self._decided(wanted, not doubts)
        return Judgement(tuple(doubts), self._links)

    def _decided(self, wanted: list[Leaf], covered: bool) -> list[Doubt]:
        """The doubts about whether the call is what the person's words ask for. `covered`: all its values are."""
        known, tool = self._known, self._tool
        if tool.name in known.meant:
            self._said = known.meant[tool.name]
            others = [leaf for leaf in wanted if covered and not self._covered(leaf, "acts")]
            return [Doubt(leaf.path, leaf.value, OTHERWISE) for leaf in others]
        if known.verbs:
            named = covered and any(
                isinstance(leaf.value, str | int | float) and not empty(leaf, tool) for leaf in wanted
            )
            addressed = named and any(_address(leaf.value) for leaf in wanted)
            covered = not asked_for(tool, known.words, named, addressed, known.exact)
        return [Doubt("", "", UNASKED)] if covered else []

    def _covered(self, leaf: Leaf, kind: Effect) -> bool:
        known, value = self._known, leaf.value
        if empty(leaf, self._tool):
            return True
        if isinstance(value, bool):
            return all(any(word in token for token in known.words.tokens) for word in name_words(leaf.argument))
        if isinstance(value, int | float):
            said = float(value) in self._said.numbers or float(value) in known.manifest.numbers
            return said or self._vouched(value) or self._meant(value)
        if not isinstance(value, str):
            return False
        own = value in known.written and not FILES.isdisjoint(name_words(leaf.argument))
        if own and "@" not in value and "://" not in value:
            return True
        return all(self._text(one, kind) for one in _addresses(value) or (value,))

    def _text(self, value: str, kind: Effect) -> bool:
        known = self._known
        # Who wrote is whom to write to only where the person wants an answer.
        answer = "@" in value and replies(known.words)
        if _allowed(value, self._trust.allow) or self._vouched(value):
            return True
        if (answer or "@" not in value) and self._meant(value):
            return True
        if "://" in value:
            return self._url(value.strip(), kind)
        if "@" in value:
            return self._said.phrase(value, toward=not answer) or known.manifest.phrase(value)
        if self._said.phrase(value) or known.manifest.phrase(value):
            return True
        plain = all(sign.isalpha() or sign in " '’-" for sign in value)
        return plain and self._said.each(value)

    def _url(self, url: str, kind: Effect) -> bool:
        known = self._known
        if urls(url) != [url]:
            return False
        if self._said.reaches(url) or known.manifest.reaches(url):
            return True
        if kind != "reads" or self._links >= known.links:
            return False
        found = chosen.links(self._results, known.reads.__contains__, url, known.words)
        self._links += found
        return found

    def _vouched(self, value: str | int | float) -> bool:
        return chosen.vouched(self._results, self._trust.results.__contains__, self._known.words, str(value))

    def _meant(self, value: str | int | float) -> bool:
        known, said = self._known, self._said
        meant = said if known.exact and said is not known.words else None
        return chosen.singled_out(self._results, known.keys, known.words, value, meant, known.exact)


def _addresses(value: str) -> tuple[str, ...]:
    """The addresses of a value that is a list of them, with names or without; none where it is anything else."""
    found: list[str] = []
    for one in re.split(r"[,;]", value) if "@" in value else ():
        named = _NAMED.fullmatch(one.strip())
        address = named[1] if named else one.strip()
        if not EMAIL.fullmatch(address):
            return ()
        found.append(address)
    return tuple(found)


def _address(value: Any) -> bool:
    """Whether a value is somebody's address: of mail, or a number of a telephone."""
    return isinstance(value, str) and bool(EMAIL.fullmatch(value.strip()) or _PHONE.fullmatch(value.strip()))


def _endpoint(leaf: Leaf) -> bool:
    """Whether a value of a tool that only reads says where to: by its argument's name, or because it is or has a URL."""
    if not isinstance(leaf.value, str):
        return False
    value = leaf.value.strip()
    return not ENDPOINTS.isdisjoint(name_words(leaf.argument)) or "://" in value or bool(_DOMAIN.fullmatch(value))


def _allowed(value: str, allow: Iterable[str]) -> bool:
    plain, parts = fold(value).strip(), split_url(value) if "://" in value else None
    if ".." in plain.split("/") or ("://" in value and parts is None):
        return False
    # `*@example.com` is one address there, and not what ends like one.
    if parts is None and "@" in plain[1:] and (plain.count("@") > 1 or not EMAIL.fullmatch(plain)):
        return False
    host = parts.netloc.casefold() if parts else ""
    return any(fnmatchcase(plain, fold(one)) or (host and fnmatchcase(host, fold(one))) for one in allow)


def came_from(value: Any, turns: Sequence[Turn]) -> str:
    """Where a value stands in what was read, in words; that nobody wrote it where it is nowhere."""
    plain = fold(str(value))
    for turn in turns:
        if turn.origin and plain and plain in fold(turn.text):
            return f"from {turn.origin}"
    return "you didn't say it, and the model put it together"
