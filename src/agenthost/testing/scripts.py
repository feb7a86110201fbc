"""What every adapter of the port Scripts must do. Subclass it in a test module and give the fixture `scripts`."""

from typing import Any

import pytest

from agenthost.core.errors import Permanent
from agenthost.core.events import ScriptRequest, Value
from agenthost.core.ports import Evaluation, Scripts

NAMES: dict[str, Any] = {
    "steps": {"spec": {"text": "a plan", "items": [{"ok": True}, {"ok": False}]}, "run": {"exit_code": 1}},
    "input": {"count": 3},
    "none": None,
}

SCRIPT = """\
import re

def instructions(task):
    return f"Work on {task.title!r}: {task.count:03d}"

def on_message(message):
    plan = call_model(f"plan {message.text}", schema={"type": "object"})
    log(plan.title)
    try:
        done = call_tool("jira", name="x", id=plan.ids[0])
    except RuntimeError as error:
        done = str(error)
    return {"done": done, "words": re.sub("h", "j", message.text)}

def broken(message):
    first = 1
    return message.subject

def endless():
    while True:
        pass
"""


class ScriptsSuite:
    """The conformance suite of Scripts."""

    async def value(self, scripts: Scripts, expression: str) -> Any:
        """What one expression comes to over NAMES."""
        answer = await scripts.evaluate(Evaluation({"v": expression}, NAMES))
        assert isinstance(answer, Value)
        return answer.values["v"]

    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("steps.spec.text", "a plan"),
            ("steps['spec']['text']", "a plan"),
            ("steps.spec.items[-1].ok", False),
            ("[item.ok for item in steps.spec.items]", [True, False]),
            ("steps.spec.text.upper()", "A PLAN"),
            ("sorted(steps.keys())", ["run", "spec"]),
            ("steps.run.exit_code == 0 or input.count > 2", True),
            ('f"{steps.spec.text!r:>10}|{input.count:03d}{{}}"', "  'a plan'|003{}"),
            ("(steps.spec\n   .text)  # the plan", "a plan"),
            ("steps.run.exit_code\n  or input.count", 1),
            ('"\u00e9" + steps.spec.text', "\u00e9a plan"),
            ("none", None),
            ("(1, 2.5, 'x')", [1, 2.5, "x"]),
            ("{3, 1, 2}", [1, 2, 3]),
            ("{'a': {'b': None}}", {"a": {"b": None}}),
            ("steps.get('nothing')", None),
        ],
    )
    async def test_an_expression_gives_a_json_value(self, scripts: Scripts, expression: str, value: Any) -> None:
        assert await self.value(scripts, expression) == value

    async def test_expressions_of_one_evaluation_come_back_by_name(self, scripts: Scripts) -> None:
        answer = await scripts.evaluate(Evaluation({"a b": "input.count", "c": "input.count + 1"}, NAMES))
        assert answer == Value({"a b": 3, "c": 4})

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("steps.spec.txt", "did you mean 'text'"),
            ("steps.sepc.text", "did you mean 'spec'"),
            ("f'{steps.spec.txt}'", "did you mean 'text'"),
            ("input.count / 0", "ZeroDivisionError"),
            ("steps.spec.items[5]", "IndexError"),
            ("lenght(steps)", "Did you mean 'len'"),
            ("nothing.text", "nothing"),
            ("float('nan')", "JSON"),
            ("b'x'", "bytes"),
            ("{1: 2}", "keys must be text"),
            ("len", "can't leave a script"),
            ("1 +", "line 1, column"),
            ("x = 1", "line 1, column"),
            ("log('x')", "expression can't call log"),
            ("open('/etc/passwd').read()", "no clock, chance, files"),
        ],
    )
    async def test_a_failed_expression_says_why(self, scripts: Scripts, expression: str, message: str) -> None:
        with pytest.raises(Permanent, match=message) as caught:
            await self.value(scripts, expression)
        assert caught.value.code == "script-error"

    async def test_a_mistake_is_shown_where_its_author_wrote_it(self, scripts: Scripts) -> None:
        with pytest.raises(Permanent, match="line 2, column 3") as caught:
            await self.value(scripts, "(steps.spec.text +\n  steps.spec.txt)")
        assert (caught.value.details["line"], caught.value.details["column"]) == (2, 3)

    async def test_a_function_is_called_with_its_arguments(self, scripts: Scripts) -> None:
        task = {"title": "it", "count": 7}
        answer = await scripts.evaluate(Evaluation({}, {"task": task}, SCRIPT, "instructions"))
        assert answer == Value({"result": "Work on 'it': 007"})

    async def test_a_function_asks_the_host_one_thing_after_another(self, scripts: Scripts) -> None:
        answers: list[dict[str, Any]] = []
        asked: list[ScriptRequest] = []
        for answer in ({"value": {"title": "T", "ids": [4]}}, {"value": None}, {"error": "jira is away"}):
            asked.append(await self._next(scripts, answers))
            answers.append(answer)
        assert asked == [
            ScriptRequest("call_model", {"prompt": "plan hi", "schema": {"type": "object"}}),
            ScriptRequest("log", {"text": "T"}),
            ScriptRequest("call_tool", {"name": "jira", "arguments": {"name": "x", "id": 4}}),
        ]
        done = await scripts.evaluate(Evaluation({}, {"message": {"text": "hi"}}, SCRIPT, "on_message", tuple(answers)))
        assert done == Value({"result": {"done": "jira is away", "words": "ji"}})

    async def _next(self, scripts: Scripts, answers: list[dict[str, Any]]) -> ScriptRequest:
        evaluation = Evaluation({}, {"message": {"text": "hi"}}, SCRIPT, "on_message", tuple(answers))
        answer = await scripts.evaluate(evaluation)
        assert isinstance(answer, ScriptRequest)
        assert await scripts.evaluate(evaluation) == answer
        return answer

    async def test_a_request_that_does_not_fit_is_an_error_in_the_script(self, scripts: Scripts) -> None:
        source = "def f():\n    return ask(qestion='x')"
        with pytest.raises(
            Permanent, match=r"line 2.*no argument 'qestion'.*ask\(question, options=\[\], kind=input\)"
        ):
            await scripts.evaluate(Evaluation({}, {}, source, "f"))

    async def test_an_error_in_a_function_names_its_line(self, scripts: Scripts) -> None:
        with pytest.raises(Permanent, match="line 17, column 12.*no 'subject'"):
            await scripts.evaluate(Evaluation({}, {"message": {"text": "hi"}}, SCRIPT, "broken"))

    async def test_a_function_that_is_not_there_is_named_with_the_nearest(self, scripts: Scripts) -> None:
        with pytest.raises(Permanent, match="no function 'on_mesage'. Did you mean 'on_message'"):
            await scripts.evaluate(Evaluation({}, {}, SCRIPT, "on_mesage"))

    @pytest.mark.parametrize(
        "source",
        [
            "import datetime\ndef f():\n    return str(datetime.datetime.now())",
            "import time\ndef f():\n    return time.time()",
            "import random\ndef f():\n    return random.random()",
            "import os\ndef f():\n    return os.listdir('/')",
            "import uuid\ndef f():\n    return str(uuid.uuid4())",
        ],
    )
    async def test_there_is_no_clock_no_chance_and_no_machine(self, scripts: Scripts, source: str) -> None:
        with pytest.raises(Permanent, match="no clock, chance|can't import") as caught:
            await scripts.evaluate(Evaluation({}, {}, source, "f"))
        assert caught.value.code == "script-error"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("def f():\n    while True:\n        pass", "ran longer than"),
            ("def f():\n    x = 'a'\n    while True:\n        x = x + x", "memory"),
            ("def f():\n    return f()", "too deeply"),
            ("def f():\n    return 10 ** 10 ** 10", "memory"),
        ],
    )
    async def test_what_uses_too_much_is_stopped(self, scripts: Scripts, source: str, message: str) -> None:
        with pytest.raises(Permanent, match=message):
            await scripts.evaluate(Evaluation({}, {}, source, "f"))
        assert await self.value(scripts, "1 + 1") == 2

    @pytest.mark.parametrize(
        "source",
        [
            "def f():\n    yield 1",
            "async def f():\n    pass",
            "def f():\n    with open('x') as g:\n        pass",
            "def f(x):\n    del x",
            "class A(dict):\n    pass",
            "from re import *",
        ],
    )
    async def test_what_is_not_part_of_the_language_is_said_clearly(self, scripts: Scripts, source: str) -> None:
        words = scripts.mistakes(source, False)
        assert words is not None
        assert "not part of the script language" in words
        assert words.startswith("line ")
        with pytest.raises(Permanent, match="not part of the script language"):
            await scripts.evaluate(Evaluation({}, {}, source, "f"))

    async def test_mistakes_are_found_without_running(self, scripts: Scripts) -> None:
        assert scripts.mistakes(SCRIPT, False) is None
        assert scripts.mistakes("steps.spec.ok and item", True) is None
        assert "line 2" in (scripts.mistakes("def f():\nreturn 1", False) or "")
        assert "column 5" in (scripts.mistakes("1 + )", True) or "")

    async def test_one_evaluation_leaves_nothing_for_the_next(self, scripts: Scripts) -> None:
        source = "seen = []\ndef f(x):\n    seen.append(x)\n    return seen"
        for x in (1, 2, 3):
            assert await scripts.evaluate(Evaluation({}, {"x": x}, source, "f")) == Value({"result": [x]})
