"""Playbooks: what a scripted model says, and when. A YAML or JSON file, or the same as a Python value.

    name: sketch-to-code
    rules:
      - when: {agent: sketch-reader, file: !digest sketch.png}
        reply: {text: "A counter with two buttons ..."}
      - when: {agent: coder, turn: 0}
        reply:
          calls:
            - {tool: write_file, arguments: {path: main.py, content: !text first/main.py}}
      - when: {agent: coder, tool: run, matches: "(?P<what>\\w+Error)"}
        reply: {text: "I see a {{what}}; mended."}
      - when: {says: "are you there"}
        fail: {kind: overloaded, times: 2}
        reply: {text: "Yes."}

The first rule whose `when` fits is played. The same request is always answered alike; only failures with
`times` count, by the call, so that a retry gets through. `!text FILE` stands for a file's words and
`!digest FILE` for its content hash, both relative to the playbook and never outside its folder.
"""

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.ids import digest
from agenthost.core.models import ModelRequest, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.tools import ToolCall

FailKind = Literal[
    "rate-limit",
    "server-error",
    "overloaded",
    "reset",
    "cut",
    "stall",
    "html",
    "garbage",
    "empty",
    "auth",
    "quota",
    "context",
    "bad-request",
    "not-found",
]
Names = str | tuple[str, ...]

_CHARACTERS_A_TOKEN = 4
_IMAGE_TOKENS = 765  # what OpenAI's guide counts for a 1024 x 1024 picture in high detail
_ATTEMPT = re.compile(r"/\d+$")
_HOLE = re.compile(r"\{\{ *([a-z_]+) *\}\}")


class Between(Struct, frozen=True, forbid_unknown_fields=True):
    """A number from `least` to `most`, both included."""

    least: int = 0
    most: int | None = None


class When(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a request must be like; what isn't named doesn't matter.

    agent, purpose, task: of the request's metadata (over HTTP only where the caller sends labels). model: its name.
    instructions, anywhere: words in the instructions; in any turn. offers: a tool that may be called.
    turn: how many turns the model has had. last: who spoke last. says: words said since the model's
    last turn (all of them), case and all; matches: a regular expression found there, whose named groups fill
    templates. tool, error: the last result's tool; whether it tells of a failure. file: a file's content
    hash anywhere in the exchange.
    """

    agent: Names = ()
    purpose: Names = ()
    task: Names = ()
    model: Names = ()
    instructions: Names = ()
    anywhere: Names = ()
    offers: str = ""
    turn: int | Between | None = None
    last: Literal["", "user", "tool"] = ""
    says: Names = ()
    matches: str = ""
    tool: str = ""
    error: bool | None = None
    file: Names = ()


class Call(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A tool call. `arguments` as a string is sent as it stands, well-formed or not."""

    tool: str
    arguments: dict[str, Any] | str = msgspec.field(default_factory=dict[str, Any])
    id: str = ""


class Reply(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is answered. In words and in the strings of arguments `{{said}}` stands for what was said last,
    `{{agent}}`, `{{model}}`, `{{turn}}`, `{{file}}` for the request's, and any named group of `matches` for what
    it found. `delay`: seconds before the first word, `pause`: between words. Usage is counted if not given."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    stop: Literal["", "end", "calls", "length", "refusal"] = ""
    usage: Usage | None = None
    model: str = ""
    delay: float = 0.0
    pause: float = 0.0


class Fail(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A failure in place of an answer. `times`: only for so many tries of one call, 0 is always. `after`: how
    many pieces come before a `cut` or `stall`. `retry`: seconds asked for by Retry-After."""

    kind: FailKind
    times: int = 0
    after: int = 1
    retry: float | None = None
    message: str = ""


class Rule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rule. `replies` are taken by how many turns the model has had, the first to begin with; beyond the
    last the rule no longer fits, unless `repeat` says `last` or `cycle`."""

    when: When = When()
    reply: Reply | None = None
    replies: tuple[Reply, ...] = ()
    repeat: Literal["", "last", "cycle"] = ""
    fail: Fail | None = None


class Play(Struct, frozen=True):
    """What a request meets: rule number `rule` (from 0), its reply with templates filled in, its failure."""

    rule: int
    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: Literal["end", "calls", "length", "refusal"] = "end"
    usage: Usage = Usage()
    model: str = ""
    delay: float = 0.0
    pause: float = 0.0
    fail: Fail | None = None


class Playbook(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rules in order."""

    rules: tuple[Rule, ...]
    name: str = "playbook"

    def play(self, request: ModelRequest, attempt: int = 0) -> Play | None:
        """What `request` meets at its `attempt` (from 0); None where no rule fits."""
        heard = Heard(request)
        for number, rule in enumerate(self.rules):
            groups = heard.fits(rule.when)
            if groups is None:
                continue
            fail = rule.fail
            if fail is not None and (not fail.times or attempt < fail.times):
                reply = rule.reply or (rule.replies[0] if rule.replies else Reply(text="This is cut off."))
                return _filled(reply, heard, groups, number, fail)
            reply = _chosen(rule, heard.turn)
            if reply is not None:
                return _filled(reply, heard, groups, number, None)
        return None


class Tries:
    """How often each call has failed so far, for `times`. Only failures that are counted are kept."""

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}

    def so_far(self, request: ModelRequest) -> int:
        """How many tries of this call have failed."""
        return self._failed.get(_call_of(request), 0) if self._failed else 0

    def failed(self, request: ModelRequest, fail: Fail) -> None:
        """Count a failed try."""
        if fail.times:
            call = _call_of(request)
            self._failed[call] = self._failed.get(call, 0) + 1


def _call_of(request: ModelRequest) -> str:
    """What all tries of one call have in common. The engine's keys end in the number of the attempt, which
    grows where an attempt may have been charged for; a request without a key is known by what it says."""
    if request.key:
        return _ATTEMPT.sub("", request.key)
    return digest(msgspec.json.encode((request.model, request.instructions, request.turns)))


class Heard:
    """A request as rules look at it."""

    def __init__(self, request: ModelRequest) -> None:
        self.request = request
        self.turn = sum(turn.role == "assistant" for turn in request.turns)
        self._fresh = _since_answer(request.turns)
        self.said = "\n".join(_words(turn) for turn in self._fresh)
        self.files = [part for turn in request.turns for part in turn.parts if isinstance(part, FilePart)]

    def fits(self, when: When) -> dict[str, str] | None:
        """The named groups of `matches` where the rule fits, else None."""
        request, metadata = self.request, self.request.metadata
        for wanted, found in (
            (when.agent, metadata.get("agent", "")),
            (when.purpose, metadata.get("purpose", "")),
            (when.task, metadata.get("task", "")),
            (when.model, request.model),
        ):
            if wanted and found not in _tuple(wanted):
                return None
        if not all(words in request.instructions for words in _tuple(when.instructions)):
            return None
        if when.anywhere:
            everything = "\n".join(_words(turn) for turn in request.turns)
            if not all(words in everything for words in _tuple(when.anywhere)):
                return None
        if when.offers and all(tool.name != when.offers for tool in request.tools):
            return None
        if not self._in_place(when) or not all(words in self.said for words in _tuple(when.says)):
            return None
        if when.file and not any(file.digest in _tuple(when.file) for file in self.files):
            return None
        if not when.matches:
            return {}
        found = re.search(when.matches, self.said)
        return None if found is None else {name: text or "" for name, text in found.groupdict().items()}

    def _in_place(self, when: When) -> bool:
        """Whether the exchange stands where the rule wants it."""
        last = self._fresh[-1] if self._fresh else None
        if isinstance(when.turn, Between):
            most = when.turn.most
            if self.turn < when.turn.least or (most is not None and self.turn > most):
                return False
        elif when.turn is not None and self.turn != when.turn:
            return False
        if when.last and (last is None or last.role != when.last):
            return False
        result = last if last is not None and last.role == "tool" else None
        if when.tool and (result is None or result.name != when.tool):
            return False
        return when.error is None or (result is not None and result.error == when.error)


def load_playbook(path: str | Path) -> Playbook:
    """Read a playbook's file. Raises BadInput, with the place of the mistake."""
    file = Path(path)
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The playbook {file} can't be read: {error}.") from None
    loader = _loader(file.parent.resolve())
    try:
        value: Any = yaml.load(content, loader)
    except yaml.YAMLError as error:
        raise BadInput(f"The playbook {file} is not YAML: {error}") from None
    return as_playbook(value, str(file))


def as_playbook(value: Any, name: str = "playbook") -> Playbook:
    """A playbook of a plain value: `{"rules": [...]}`. Raises BadInput, with the place of the mistake."""
    try:
        playbook = msgspec.convert(value, Playbook)
    except msgspec.ValidationError as error:
        raise BadInput(f"The playbook {name} is not well formed: {error}.") from None
    for number, rule in enumerate(playbook.rules):
        if rule.reply is None and not rule.replies and rule.fail is None:
            raise BadInput(f"Rule {number + 1} of the playbook {name} says nothing: give it reply, replies or fail.")
        try:
            re.compile(rule.when.matches)
        except re.error as error:
            raise BadInput(f"Rule {number + 1} of the playbook {name}: matches is not a pattern: {error}.") from None
    return playbook


def count_usage(request: ModelRequest, text: str, calls: tuple[ToolCall, ...]) -> Usage:
    """Tokens as a scripted model counts them: by length, so that the same request counts the same."""
    given = len(request.instructions) + sum(len(_words(turn)) for turn in request.turns)
    given += sum(len(call.arguments) for turn in request.turns for call in turn.calls)
    given += sum(len(tool.name) + len(tool.description) for tool in request.tools)
    pictures = sum(isinstance(part, FilePart) for turn in request.turns for part in turn.parts)
    made = len(text) + sum(len(call.name) + len(call.arguments) for call in calls)
    tokens = given // _CHARACTERS_A_TOKEN + 1 + pictures * _IMAGE_TOKENS
    return Usage(tokens, made // _CHARACTERS_A_TOKEN + 1)


def _chosen(rule: Rule, turn: int) -> Reply | None:
    if rule.reply is not None:
        return rule.reply
    if turn < len(rule.replies):
        return rule.replies[turn]
    if not rule.replies or not rule.repeat:
        return None
    return rule.replies[-1] if rule.repeat == "last" else rule.replies[turn % len(rule.replies)]


def _filled(reply: Reply, heard: Heard, groups: dict[str, str], number: int, fail: Fail | None) -> Play:
    request = heard.request
    values = {
        "said": heard.said,
        "agent": request.metadata.get("agent", ""),
        "model": request.model,
        "turn": str(heard.turn),
        "file": heard.files[-1].name if heard.files else "",
        **groups,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return _HOLE.sub(lambda hole: values.get(hole[1], hole[0]), value)
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, list):
            return [fill(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        return value

    calls = tuple(
        ToolCall(
            call.id or f"call_{heard.turn}_{index}",
            call.tool,
            call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(fill(call.arguments)).decode(),
        )
        for index, call in enumerate(reply.calls)
    )
    text: str = fill(reply.text)
    return Play(
        number,
        text,
        fill(reply.reasoning),
        calls,
        reply.stop or ("calls" if calls else "end"),
        reply.usage or count_usage(request, text, calls),
        reply.model,
        reply.delay,
        reply.pause,
        fail,
    )


def _since_answer(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].role == "assistant":
            return turns[index + 1 :]
    return turns


def _words(turn: Turn) -> str:
    words = [part.text for part in turn.parts if isinstance(part, TextPart)]
    words += [msgspec.json.encode(part.data).decode() for part in turn.parts if isinstance(part, DataPart)]
    return "\n".join(words)


def _tuple(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _loader(folder: Path) -> type[yaml.SafeLoader]:
    """A loader that knows `!text` and `!digest`, for files in `folder`."""

    class Loader(yaml.SafeLoader):
        pass

    def content(node: yaml.Node) -> bytes:
        name = str(node.value)
        file = (folder / name).resolve()
        if not file.is_relative_to(folder):
            raise BadInput(f"{name} is outside the playbook's folder; put it inside.")
        try:
            return file.read_bytes()
        except OSError as error:
            raise BadInput(f"{name}, named in the playbook, can't be read: {error.strerror}.") from None

    def words(node: yaml.Node) -> str:
        try:
            return content(node).decode()
        except UnicodeDecodeError:
            raise BadInput(f"{node.value}, named in the playbook, is not UTF-8 text; give words or !digest.") from None

    Loader.add_constructor("!text", lambda loader, node: words(node))
    Loader.add_constructor("!digest", lambda loader, node: digest(content(node)))
    return Loader
