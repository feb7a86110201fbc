"""A recorded run of a sketch-to-code workflow: what a host's journals hold, event by event."""

from typing import Any

from agenthost.core.api import LiveDelta
from agenthost.core.commands import Ask, CallModel, CallTool, Command, Evaluate, RunCommand, StartChild, Verdict, View
from agenthost.core.errors import Failure
from agenthost.core.events import (
    Answered,
    Asked,
    ChildResult,
    Claimed,
    Created,
    Event,
    Finished,
    Recorded,
    Reply,
    Retried,
    RunResult,
    Value,
)
from agenthost.core.models import Delta, ModelAnswer, Usage
from agenthost.core.parts import DataPart, FilePart, Message, TextPart
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolCall, text_result

ROOT = "0j8a7c2kd1x9f4m2"
BEGAN = 1_790_000_000.0
Item = Recorded | LiveDelta

FIRST = '''"""A counter that remembers its value."""

import json
import sys


def load(path):
    return json.load(open(path))


def main():
    state = load("state.json")
    state["count"] += 1
    print(f"count is now {state['count']}")


if __name__ == "__main__":
    sys.exit(main())
'''
SECOND = FIRST.replace(
    "    return json.load(open(path))\n",
    '    try:\n        return json.load(open(path))\n    except FileNotFoundError:\n        return {"count": 0}\n',
)
TRACEBACK = """Traceback (most recent call last):
  File "/workspace/main.py", line 19, in <module>
    sys.exit(main())
  File "/workspace/main.py", line 12, in main
    state = load("state.json")
FileNotFoundError: [Errno 2] No such file or directory: 'state.json'
"""


class Recorder:
    """Writes journals: sequence numbers and times go up by themselves."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._seqs: dict[str, int] = {}
        self._at = BEGAN

    def later(self, seconds: float) -> None:
        self._at += seconds

    def event(self, task: str, event: Event) -> None:
        self._seqs[task] = self._seqs.get(task, 0) + 1
        self.items.append(Recorded(task, self._seqs[task], self._at, event))

    def delta(self, task: str, command: str, text: str) -> None:
        self.items.append(LiveDelta(task, command, 1, Delta(text=text)))

    def begin(self, kind: Any, name: str, task: str = ROOT, **more: Any) -> None:
        message = more.pop("message", Message("person", ()))
        self.event(task, Created(TaskSpec(task, kind, name, "sha256:0", message, workspace=ROOT, **more)))
        self.event(task, Claimed(1, "host-1"))

    def ask(self, task: str, command: Command) -> None:
        self.event(task, Asked(command))

    def answer(self, task: str, command: str, answer: Any, seconds: float = 1.0) -> None:
        self.later(seconds)
        self.event(task, Answered(command, answer))

    def think(self, task: str, number: int, text: str, calls: tuple[ToolCall, ...] = (), seconds: float = 2.0) -> None:
        self.ask(task, CallModel(f"m{number}", "default", View(0, 1)))
        for word in text.split(" "):
            self.delta(task, f"m{number}", word + " ")
        answer = ModelAnswer(
            (TextPart(text),) if text else (), calls, "calls" if calls else "end", Usage(1200, 340), "openai:gpt-5.5"
        )
        self.answer(task, f"m{number}", answer, seconds)

    def write(self, task: str, number: int, path: str, content: str) -> None:
        self.think(task, number, "", (ToolCall("c1", "write_file", "{}"),))
        self.ask(task, CallTool(f"t{number}", "write_file", {"path": path, "content": content}, "c1", True))
        changed = {path: f"sha256:{number}"}
        result = text_result(f"wrote {path}")
        self.answer(task, f"t{number}", type(result)(result.parts, False, changed), 0.1)

    def finish(self, task: str, reason: str = "", outcome: Any = "done", parts: Any = (), code: str = "") -> None:
        self.event(task, Finished(Verdict(outcome, reason, code=code), parts, ("main.py",) if task == ROOT else ()))

    def child(self, command: str, name: str, text: str, role: str, files: tuple[FilePart, ...] = ()) -> str:
        self.ask(ROOT, StartChild(command, "agent", name, (TextPart(text),), role=f"sketch-to-code/{role}"))
        task = f"{ROOT}.{command}"
        message = Message(f"task:{ROOT}", (TextPart(text), *files))
        self.begin(
            "agent", name, task, parent=ROOT, parent_command=command, role=f"sketch-to-code/{role}", message=message
        )
        return task

    def end_child(self, command: str, task: str, reason: str = "") -> None:
        self.finish(task, reason)
        self.answer(ROOT, command, ChildResult(task, Verdict("done", reason)), 0.0)


def sketch_to_code(repair: bool = True) -> list[Item]:
    """The main job: a first program fails in the sandbox, the second passes (or the bound is used up)."""
    to = Recorder()
    sketch = FilePart("sha256:" + "a" * 64, "image/png", 48_213, "sketch.png")
    to.begin("workflow", "sketch-to-code", message=Message("person", (sketch,)))
    to.ask(ROOT, Evaluate("spec-1-values", {"prompt": "..."}))
    to.answer(ROOT, "spec-1-values", Value({"prompt": "..."}), 0.0)
    reader = to.child(
        "spec-1", "sketch-reader", "Read this sketch of a system and write its specification.", "reader", (sketch,)
    )
    to.think(
        reader,
        1,
        "The picture shows a **counter**: a box named `state.json`, an arrow to a box `main.py`, and the words "
        '"count is now N".\n\n1. It reads the last count.\n2. It adds one.\n3. It prints `count is now N` and keeps N.',
    )
    to.end_child("spec-1", reader)
    coder = to.child("code-1", "coder", "Write the program of this specification.\n\nA counter ...", "coder")
    to.write(coder, 1, "main.py", FIRST)
    to.think(coder, 2, "The program is in main.py.")
    to.end_child("code-1", coder)
    to.ask(ROOT, RunCommand("run-1", "python main.py"))
    to.answer(ROOT, "run-1", RunResult(1, "", TRACEBACK, 0.14), 0.2)
    checker = to.child("check-1", "checker", "Judge this run.", "checker")
    to.think(checker, 1, '{"pass": false, "feedback": "state.json need not be there at the first start"}')
    to.end_child("check-1", checker)
    coder = to.child("code-2", "coder", "Mend it.\n\nFileNotFoundError: state.json", "coder")
    to.ask(coder, CallModel("m1", "default", View(0, 1)))
    to.event(coder, Retried("m1", 2, Failure("rate-limit", "the provider allows no more requests now", True, 2.0), 2.0))
    to.answer(
        coder,
        "m1",
        ModelAnswer((TextPart("I see: the file is missing at first."),), (), "end", Usage(1500, 90), "openai:gpt-5.5"),
    )
    to.write(coder, 2, "main.py", SECOND)
    to.end_child("code-2", coder)
    to.ask(ROOT, RunCommand("run-2", "python main.py"))
    code = 0 if repair else 1
    to.answer(ROOT, "run-2", RunResult(code, "count is now 1\n", "" if repair else TRACEBACK, 0.12), 0.2)
    checker = to.child("check-2", "checker", "Judge this run.", "checker")
    to.think(
        checker,
        1,
        '{"pass": true, "feedback": "it prints what the sketch says"}'
        if repair
        else '{"pass": false, "feedback": "no"}',
    )
    to.end_child("check-2", checker)
    if repair:
        to.finish(ROOT, "the checker passed attempt 2", parts=(DataPart({"program": "main.py", "attempts": 2}),))
    else:
        to.finish(ROOT, "step 'check' failed after 2 attempts", "unachievable")
    return to.items


def question(answered: bool = False) -> list[Item]:
    """An agent that asks a person."""
    to = Recorder()
    to.begin("agent", "coder", message=Message("person", (TextPart("tidy up"),)))
    to.ask(ROOT, Ask("a1", "input", "Which database shall I use?", ("SQLite", "PostgreSQL")))
    if answered:
        to.answer(ROOT, "a1", Reply("SQLite"))
        to.think(ROOT, 2, "SQLite it is.")
        to.finish(ROOT, "it said so", parts=(TextPart("SQLite it is."),))
    return to.items
