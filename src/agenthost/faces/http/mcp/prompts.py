"""A prompt for each agent and workflow: what a person picks in a client to have its model call the tool."""

import json

import mcp.types as types

from agenthost.core.errors import BadInput
from agenthost.faces.http.mcp.surface import Work


def prompt(work: Work) -> types.Prompt:
    """As it is listed. Files can't be given to a prompt."""
    required = work.schema.get("required", ())
    arguments = [
        types.PromptArgument(name=name, description=schema.get("description"), required=name in required)
        for name, schema in work.schema["properties"].items()
        if _plain(work, name)
    ]
    return types.Prompt(name=work.name, description=work.description or None, arguments=arguments)


def filled(work: Work, arguments: dict[str, str]) -> types.GetPromptResult:
    """What it says with these arguments. Raises BadInput where one is missing that it can't do without."""
    for name in work.schema.get("required", ()):
        if _plain(work, name) and name not in arguments:
            raise BadInput(f"the prompt '{work.name}' needs the argument '{name}'")
    given = {name: value for name, value in arguments.items() if name in work.schema["properties"]}
    text = f"Call the tool `{work.name}` with these arguments and tell me what comes of it:\n{json.dumps(given, ensure_ascii=False)}"
    return types.GetPromptResult(
        description=work.description or None,
        messages=[types.PromptMessage(role="user", content=types.TextContent(text=text))],
    )


def _plain(work: Work, name: str) -> bool:
    return name != "files" if work.kind == "agent" else work.inputs.get(name, "string") != "file"
