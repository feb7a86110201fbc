"""Every shape of the gallery comes out as it says: by the pure function, and over the wire of a real server."""

from typing import Any

import msgspec
import pytest

from agenthost.core.models import ModelAnswer
from agenthost.core.tools import ToolCall
from agenthost.models.dialects.gallery import Case, gallery
from agenthost.models.dialects.repair import repair

CASES = gallery()


def expected(case: Case) -> list[tuple[str, Any]]:
    return [(name, arguments) for name, arguments in case.out.calls]


def found(answer: ModelAnswer) -> list[tuple[str, Any]]:
    """Calls with their arguments read as the program reads them; as text where it can't."""
    return [(call.name, value(call)) for call in answer.calls]


def value(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        return call.arguments


def test_the_gallery_has_the_shapes_that_are_promised() -> None:
    assert len(CASES) >= 100
    assert sum(not case.out.calls for case in CASES.values()) >= 20


@pytest.mark.parametrize("name", CASES)
def test_a_shape_comes_out_as_it_was_meant(name: str) -> None:
    case = CASES[name]
    answer = repair(case.answer(), case.request(), case.told, case.sent.reasoning)
    assert found(answer) == expected(case)
    assert answer.text == case.out.text
    assert len({call.id for call in answer.calls}) == len(answer.calls)
    if answer.stop == "calls":
        assert answer.calls
