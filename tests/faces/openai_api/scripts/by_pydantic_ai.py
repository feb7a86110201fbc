"""Pydantic AI, against a host, by both APIs. Prints what it found as one JSON object."""

import asyncio
import base64
import json
import os
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["URL_"], api_key=os.environ["TOKEN"])
picture = BinaryContent(base64.b64decode(os.environ["PICTURE"].partition(",")[2]), media_type="image/png")


class Number(BaseModel):
    n: int


def weather(city: str) -> str:
    """Tells the weather."""
    return f"fine in {city}"


async def by(model: Any) -> dict[str, Any]:
    plain = Agent(model, instructions="Be nice.")
    tools = Agent(model, instructions="Be nice.", tools=[weather])
    made = await plain.run("hello")
    found: dict[str, Any] = {"text": [made.output, made.usage.total_tokens > 0]}
    first = await tools.run("two cities")
    found["tools"] = [first.output, (await tools.run("and?", message_history=first.all_messages())).output]
    found["structured"] = [
        (await plain.run("a number", output_type=way(Number))).output.n
        for way in (NativeOutput, PromptedOutput, ToolOutput)
    ]
    found["picture"] = (await plain.run(["look", picture])).output
    settings: Any = {"temperature": 0.2, "max_tokens": 40, "top_p": 0.5, "seed": 1, "parallel_tool_calls": False}
    settings |= {"presence_penalty": 0.1, "openai_user": "u", "openai_reasoning_effort": "low"}
    found["settings"] = (await plain.run("hello", model_settings=settings)).output
    async with plain.run_stream("slowly") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    found["stream"] = ["".join(pieces), len(pieces) > 4]
    return found


async def main() -> None:
    chat, responses = (made("helper", provider=provider) for made in (OpenAIChatModel, OpenAIResponsesModel))
    print(json.dumps({"chat": await by(chat), "responses": await by(responses)}))


asyncio.run(main())
