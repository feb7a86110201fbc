"""Calls as text in fences: for models that can follow a form told in words, and nothing more."""

import msgspec

from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.tools import ToolCall
from agenthost.models.dialects.repair import repair
from agenthost.models.dialects.speaking import as_words, described, object_of

TOLD = """\
You can call tools. To call one, write a fence of three backticks with the word tool, and in it one JSON object with \
the tool's name and its arguments:

```tool
{"name": "NAME", "arguments": {}}
```

Write only such a fence to call a tool; several fences make several calls. Then end your answer: the results come \
with the next message. When you need no tool, answer in words, without such a fence.

The tools:
"""


def dress(request: ModelRequest) -> ModelRequest:
    """The request in words alone."""
    instructions = request.instructions
    if request.tools:
        told = TOLD + described(request.tools)
        instructions = f"{instructions}\n\n{told}" if instructions else told
    turns = as_words(request.turns, _written)
    return msgspec.structs.replace(request, instructions=instructions, turns=turns, tools=())


def undress(answer: ModelAnswer, request: ModelRequest, thought: str = "") -> ModelAnswer:
    """The answer with its fences read as calls. `request` is the one that was dressed."""
    return repair(answer, request, told=bool(request.tools), thought=thought)


def _written(text: str, calls: tuple[ToolCall, ...]) -> str:
    fences = [f"```tool\n{object_of(call)}\n```" for call in calls]
    return "\n\n".join(piece for piece in (text, *fences) if piece)
