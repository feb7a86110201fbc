"""LangChain, against a host, by both APIs. Prints what it found as one JSON object."""

import json
import os
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

told: dict[str, Any] = {"base_url": os.environ["URL_"], "api_key": os.environ["TOKEN"], "max_retries": 0}


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"fine in {city}"


class Number(BaseModel):
    """A number."""

    n: int


def called(model: Any, stream: bool) -> str:
    model = model.bind_tools([weather])
    messages: list[Any] = [HumanMessage("two cities")]
    message: Any = None
    if stream:
        for chunk in model.stream(messages):
            message = chunk if message is None else message + chunk
    else:
        message = model.invoke(messages)
    messages += [message, *(weather.invoke(call) for call in message.tool_calls)]
    return model.invoke(messages).text


def by(**more: Any) -> dict[str, Any]:
    model = ChatOpenAI(model="helper", **told, **more)
    made = model.invoke("hello")
    found: dict[str, Any] = {"text": [made.text, made.usage_metadata["total_tokens"] > 0]}
    pieces = [chunk.text for chunk in model.stream("slowly")]
    found["stream"] = ["".join(pieces), len(pieces) > 4]
    found["tools"] = [called(model, stream) for stream in (False, True)]
    found["structured"] = [
        model.with_structured_output(Number, method=method).invoke("a number, as json").n
        for method in ("json_schema", "json_mode", "function_calling")
    ]
    picture = {"type": "image_url", "image_url": {"url": os.environ["PICTURE"]}}
    found["picture"] = model.invoke([HumanMessage([{"type": "text", "text": "look"}, picture])]).text
    chosen = model.bind_tools([weather], tool_choice="any", parallel_tool_calls=False)
    found["chosen"] = [call["args"] for call in chosen.invoke("weather").tool_calls]
    before = [SystemMessage("Be brief."), HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
    found["history"] = model.invoke(before).text
    found["batch"] = [each.text for each in model.batch(["a", "b", "c"])]
    return found


found = {"chat": by(), "responses": by(use_responses_api=True)}
found["stop"] = ChatOpenAI(model="helper", **told).invoke("slowly", stop=[" three"]).text
vectors = OpenAIEmbeddings(model="fake:embedding", check_embedding_ctx_length=False, **told)
found["vector"] = len(vectors.embed_query("one"))
print(json.dumps(found))
