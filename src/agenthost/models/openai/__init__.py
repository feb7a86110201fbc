"""OpenAI's API as a client: Chat Completions and Responses, over aiohttp and msgspec.

`model.py` makes one attempt; `chat.py` and `responses.py` are the two wires (pure: requests into
bodies, events into answers); `failures.py` maps what went wrong. Nothing here tries twice.
"""
