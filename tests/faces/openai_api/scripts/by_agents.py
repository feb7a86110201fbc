"""OpenAI's Agents SDK, against a host, by both of its models. Prints what it found as one JSON object."""

import asyncio
import json
import os
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

client = AsyncOpenAI(base_url=os.environ["URL_"], api_key=os.environ["TOKEN"], max_retries=0)


@function_tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"fine in {city}"


class Number(BaseModel):
    n: int


async def said(agent: Agent, text: Any, **more: Any) -> Any:
    return (await Runner.run(agent, text, **more)).final_output


async def by(model: Any) -> dict[str, Any]:
    plain = Agent(name="plain", instructions="Be nice.", model=model)
    tools = Agent(name="tools", instructions="Be nice.", model=model, tools=[weather])
    settings = ModelSettings(
        temperature=0.3, top_p=0.9, max_tokens=50, parallel_tool_calls=True, tool_choice="required",
        truncation="auto", store=True, metadata={"a": "b"}, include_usage=True,
    )  # fmt: skip
    found = {"text": await said(plain, "hello"), "tools": await said(tools, "two cities")}
    found["settings"] = await said(tools.clone(model_settings=settings), "weather")
    found["structured"] = (await said(plain.clone(output_type=Number), "a number")).n
    stream = Runner.run_streamed(tools, "two cities")
    kinds = [event.type async for event in stream.stream_events()]
    found["stream"] = [stream.final_output, len(kinds) > 10]
    found["handoff"] = await said(Agent(name="desk", model=model, handoffs=[plain]), "hello")
    session = SQLiteSession("one")
    found["session"] = [await said(plain, text, session=session) for text in ("one", "two")]
    picture = {"type": "input_image", "image_url": os.environ["PICTURE"], "detail": "auto"}
    content = [{"type": "input_text", "text": "look"}, picture]
    found["picture"] = await said(plain, [{"role": "user", "content": content}])
    return found


async def threads(model: Any) -> dict[str, Any]:
    tools = Agent(name="tools", instructions="Be nice.", model=model, tools=[weather])
    session = OpenAIConversationsSession(openai_client=client)
    found: dict[str, Any] = {"kept": [await said(tools, text, session=session) for text in ("one", "two cities")]}
    found["items"] = [item["type"] for item in await session.get_items()]
    found["newest"] = (await session.pop_item())["role"]
    await session.clear_session()
    first = await Runner.run(tools, "two cities", auto_previous_response_id=True)
    found["previous"] = [first.final_output, await said(tools, "and?", previous_response_id=first.last_response_id)]
    talk = await client.conversations.create()
    found["conversation"] = [await said(tools, text, conversation_id=talk.id) for text in ("two cities", "and?")]
    return found


async def main() -> None:
    set_tracing_disabled(True)
    chat, responses = (made("helper", client) for made in (OpenAIChatCompletionsModel, OpenAIResponsesModel))
    told = {"chat": await by(chat), "responses": await by(responses), "threads": await threads(responses)}
    print(json.dumps(told))


asyncio.run(main())
