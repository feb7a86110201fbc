"""The tools of a host by name: the built-in ones and trusted Python tools from the settings."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from agenthost.core.errors import BadInput, NotFound, Unavailable, nearest
from agenthost.core.ports import Tool
from agenthost.tools.arguments import Checked
from agenthost.tools.workspace import workspace_tools

GROUP = "workspace"
HOST = ""
"""The source of what the host itself, or its settings, put in: it is believed."""


class ToolRegistry:
    """The port Tools. `extra` maps a name that a manifest may give to `module:attribute`.

    The attribute is a Tool, several, or a function without parameters that makes them; it is
    loaded when it is first named. It runs in the host's process with the host's rights: only the host's
    settings may name it, never a manifest. Arguments are checked before a tool sees them. `others` are built in
    beside the tools of the group. `own` are the host's: no manifest may name them.
    """

    def __init__(
        self, extra: Mapping[str, str] | None = None, others: Sequence[Tool] = (), own: Sequence[Tool] = ()
    ) -> None:
        self._group: list[Tool] = [Checked(tool, HOST) for tool in workspace_tools()]
        built_in = [*self._group, *(Checked(tool, HOST) for tool in others)]
        self._built_in: dict[str, Tool] = {tool.spec.name: tool for tool in built_in}
        self._own: dict[str, Tool] = {tool.spec.name: Checked(tool, HOST) for tool in own}
        self._extra = dict(extra or {})
        self._loaded: dict[str, list[Tool]] = {}
        for name in self._extra:
            if name == GROUP or name in self._built_in or name in self._own:
                raise BadInput(f"the setting names a tool '{name}', which is built in; give it another name")

    def names(self) -> list[str]:
        """The names that a manifest may give: the group, the built-in tools, those that settings name."""
        return [GROUP, *self._built_in, *self._extra]

    def expand(self, name: str) -> list[Tool]:
        """The tools that a manifest's entry stands for: a group, one built-in tool, or what a setting names.

        Raises NotFound, and Unavailable where it can't be loaded.
        """
        if name == GROUP:
            return list(self._group)
        if name in self._built_in:
            return [self._built_in[name]]
        if name in self._own:
            return [self._own[name]]
        if name in self._extra:
            return list(self._load(name))
        known = [GROUP, *self._built_in, *self._extra]
        raise NotFound(f"there is no tool '{name}'. {nearest(name, known)}")

    def tool(self, name: str) -> Tool:
        """One tool by its own name. Raises NotFound, Unavailable."""
        if name in self._built_in:
            return self._built_in[name]
        if name in self._own:
            return self._own[name]
        # A tool's own name may differ from the entry that names it, so ask the likeliest entry first.
        for entry in sorted(self._extra, key=lambda entry: entry != name):
            for tool in self._load(entry):
                if tool.spec.name == name:
                    return tool
        known = [*self._built_in, *(tool.spec.name for tools in self._loaded.values() for tool in tools)]
        raise NotFound(f"there is no tool '{name}'. {nearest(name, known)}")

    def _load(self, name: str) -> list[Tool]:
        if name not in self._loaded:
            self._loaded[name] = [Checked(tool, HOST) for tool in _import(name, self._extra[name])]
        return self._loaded[name]


def _import(name: str, place: str) -> list[Tool]:
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise Unavailable(f"the tool '{name}' is set to '{place}'; give it as module:attribute")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if callable(found) and not _is_tool(found):
            found = cast(Callable[[], Any], found)()
    except Exception as error:  # the fence around a plugin: its code may raise anything
        raise Unavailable(
            f"the tool '{name}' can't be loaded from '{place}': {type(error).__name__}: {error}; mend the setting, or "
            "install what it needs"
        ) from error
    tools = list(cast(Sequence[Any], found)) if isinstance(found, (list, tuple)) else [found]
    for tool in tools:
        if not _is_tool(tool):
            raise Unavailable(f"the tool '{name}' from '{place}' is no tool: it needs `spec`, `call` and `check`")
    return cast(list[Tool], tools)


def _is_tool(found: Any) -> bool:
    return not isinstance(found, type) and all(hasattr(found, name) for name in ("spec", "call", "check"))
