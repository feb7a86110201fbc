"""LiteLLM, against a host. Prints what it found as one JSON object."""

import json
import os
from typing import Any

import litellm

told: dict[str, Any] = {"api_base": os.environ["URL_"], "api_key": os.environ["TOKEN"], "model": "openai/helper"}
tool = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


found: dict[str, Any] = {}
made = litellm.completion(messages=[user("hello")], **told)
found["text"] = [made.choices[0].message.content, made.usage.total_tokens > 0]

pieces = [
    chunk.choices[0].delta.content or ""
    for chunk in litellm.completion(messages=[user("slowly")], stream=True, **told)
    if chunk.choices
]
found["stream"] = ["".join(pieces), len(pieces) > 4]

messages = [user("two cities")]
message = litellm.completion(messages=messages, tools=[tool], **told).choices[0].message
messages.append(message.model_dump())
for call in message.tool_calls:
    city = json.loads(call.function.arguments)["city"]
    messages.append({"role": "tool", "tool_call_id": call.id, "content": f"fine in {city}"})
found["tools"] = litellm.completion(messages=messages, tools=[tool], **told).choices[0].message.content

picture = {"type": "image_url", "image_url": {"url": os.environ["PICTURE"]}}
content = [{"type": "text", "text": "look"}, picture]
found["picture"] = litellm.completion(messages=[user(content)], **told).choices[0].message.content

first = litellm.responses(input="one", **told)
second = litellm.responses(input="two", previous_response_id=first.id, **told)
found["responses"] = second.output[0].content[0].text

try:
    litellm.completion(messages=[user("hello")], **(told | {"model": "openai/none"}))
except litellm.NotFoundError:
    found["missing"] = True
print(json.dumps(found))
