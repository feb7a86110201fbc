import sys
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.errors import BadInput, NotFound, Unavailable
from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result
from agenthost.tools.arguments import UNKNOWN, Checked, described
from agenthost.tools.registry import ToolRegistry

HERE = __name__


class Weather:
    spec = ToolSpec(
        "weather",
        "The weather.",
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city"],
        },
    )

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return text_result(f"rain in {arguments['city']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return text_result(key)


one = Weather()


def several() -> list[Weather]:
    return [Weather()]


def broken() -> None:
    raise RuntimeError("no licence")


number = 7


class Foreign(Weather):
    spec = ToolSpec("foreign", "By a server.", source="mcp:weather")


foreign = Foreign()


def test_the_group_stands_for_all_tools_of_the_workspace() -> None:
    names = [tool.spec.name for tool in ToolRegistry().expand("workspace")]
    assert names == ["list_files", "read_file", "write_file", "edit_file", "delete_file", "run"]
    assert [tool.spec.name for tool in ToolRegistry().expand("run")] == ["run"]


def test_only_what_the_host_or_its_settings_put_in_is_the_host_s_own() -> None:
    registry = ToolRegistry({"forecast": f"{HERE}:one", "theirs": f"{HERE}:foreign"})
    assert [described(tool).source for tool in registry.expand("forecast")] == [""]
    # A tool that says who described it keeps that, whoever joins it.
    assert [described(tool).source for tool in registry.expand("theirs")] == ["mcp:weather"]
    # Of one that nobody has said it of, it isn't known; and it can't be joined without saying.
    assert described(one).source == UNKNOWN
    assert described(Checked(one, "plugin:acme")).source == "plugin:acme"
    with pytest.raises(TypeError, match="source"):
        Checked(one)  # type: ignore[call-arg]


@pytest.mark.parametrize("place", ["one", "several", "Weather"])
async def test_a_trusted_tool_is_found_by_its_entry_and_by_its_name(place: str) -> None:
    registry = ToolRegistry({"forecast": f"{HERE}:{place}"})
    assert [tool.spec.name for tool in registry.expand("forecast")] == ["weather"]
    tool = registry.tool("weather")
    assert tool is registry.expand("forecast")[0]
    context: Any = None
    assert (await tool.call({"city": "Ulm"}, context)).text == "rain in Ulm"
    told = await tool.check("a-key", {})
    assert told is not None and told.text == "a-key"


async def test_arguments_are_checked_before_a_tool_sees_them() -> None:
    tool = ToolRegistry({"weather": f"{HERE}:one"}).tool("weather")
    context: Any = None
    result = await tool.call({"days": 0}, context)
    assert result.error
    assert result.text == (
        "the arguments of weather don't fit: 'city' is a required property; days: 0 is less than the minimum of 1. "
        "It takes: city, days (optional)."
    )
    wrong: Any = ["Ulm"]
    assert (await tool.call(wrong, context)).text.startswith("the arguments of weather must be a JSON object")
    long = await tool.call({"city": ["x" * 5000]}, context)
    assert len(long.text) < 400


def test_a_tool_is_loaded_only_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_tool_for_test.py").write_text("from test_registry import one as tool")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[HERE])
    registry = ToolRegistry({"lazy": "lazy_tool_for_test:tool"})
    registry.expand("workspace")
    assert "lazy_tool_for_test" not in sys.modules
    registry.expand("lazy")
    assert sys.modules.pop("lazy_tool_for_test")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(NotFound, match="Did you mean 'workspace'"):
        ToolRegistry().expand("workspce")
    with pytest.raises(NotFound, match="Did you mean 'read_file'"):
        ToolRegistry().tool("readfile")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nothing", "module:attribute"),
        ("no_such_module_here:x", "ModuleNotFoundError.*install what it needs"),
        (f"{HERE}:nothing", "AttributeError"),
        (f"{HERE}:broken", "RuntimeError: no licence"),
        (f"{HERE}:number", "is no tool: it needs `spec`, `call` and `check`"),
    ],
)
def test_a_tool_that_cannot_be_loaded_says_why(place: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        ToolRegistry({"mine": place}).expand("mine")


def test_a_built_in_name_cannot_be_taken() -> None:
    with pytest.raises(BadInput, match="'run', which is built in"):
        ToolRegistry({"run": f"{HERE}:one"})
