"""A file of requests for a batch, and the lines of its answers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.models import Effort, ModelRequest, Turn
from agenthost.core.offers import BatchAnswer
from agenthost.core.parts import FilePart, Part, TextPart

Put = Callable[[str, bytes], Awaitable[FilePart]]


class Prompt(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A line of a .jsonl. `id` names its answer (else the line's number does); `files` are paths, such as pictures;
    `schema` is a JSON schema that the answer must keep to."""

    prompt: str
    id: str | int = ""
    instructions: str | None = None
    max_output: int | None = None
    temperature: float | None = None
    effort: Effort = ""
    schema: dict[str, Any] | None = None
    files: tuple[str, ...] = ()


class Defaults(Struct, frozen=True):
    """What holds for each request without its own."""

    model: str
    instructions: str = ""
    max_output: int = 4096


async def requests(content: bytes, file: str, defaults: Defaults, put: Put) -> dict[str, ModelRequest]:
    """The requests of a file by their names. `put` keeps a file where models read it. Raises BadInput naming the line."""
    plain = file.lower().endswith(".txt")
    made: dict[str, ModelRequest] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        prompt = Prompt(_plain(line, where)) if plain else _prompt(line, where)
        name = str(prompt.id or number)
        if name in made:
            raise BadInput(f"{where}: the id '{name}' stands there twice; give each request its own")
        made[name] = await _request(prompt, where, defaults, put)
    if not made:
        raise BadInput(f"{file} holds no request; write a prompt a line (.txt), or a JSON object a line (.jsonl)")
    return made


def result(name: str, answered: BatchAnswer) -> dict[str, Any]:
    """A line of the answers."""
    if answered.answer is None:
        failure = answered.failure
        return {"id": name, "error": {"code": failure.code, "message": failure.message} if failure else {}}
    answer = answered.answer
    calls = [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
    told = {"id": name, "text": answer.text, "stop": answer.stop, "usage": answer.usage, "model": answer.model}
    return told | ({"calls": calls} if calls else {})


def _plain(line: bytes, where: str) -> str:
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        raise BadInput(f"{where}: it is no text in UTF-8") from None


def _prompt(line: bytes, where: str) -> Prompt:
    try:
        found = msgspec.json.decode(line)
        return Prompt(found) if isinstance(found, str) else msgspec.convert(found, Prompt)
    except msgspec.ValidationError as error:
        own = " This is a line of OpenAI's own form; write the prompt alone." if b'"custom_id"' in line else ""
        raise BadInput(f'{where}: {error}.{own} A line is {{"prompt": "...", "id": "..."}}') from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{where}: it is no JSON ({error}). For a prompt a line without JSON, name the file .txt"
        ) from None


async def _request(prompt: Prompt, where: str, defaults: Defaults, put: Put) -> ModelRequest:
    parts: list[Part] = [TextPart(prompt.prompt)] if prompt.prompt else []
    for path in prompt.files:
        try:
            content = await asyncio.to_thread(Path(path).read_bytes)
        except OSError as error:
            raise BadInput(f"{where}: {path} can't be read ({error.strerror})") from None
        parts.append(await put(Path(path).name, content))
    if not parts:
        raise BadInput(f"{where}: the prompt is empty")
    most = defaults.max_output if prompt.max_output is None else prompt.max_output
    if most < 1:
        raise BadInput(f"{where}: an answer of {most} tokens is none; give at least 1")
    instructions = defaults.instructions if prompt.instructions is None else prompt.instructions
    return ModelRequest(
        defaults.model,
        instructions,
        (Turn("user", tuple(parts)),),
        output_schema=prompt.schema,
        max_output=most,
        temperature=prompt.temperature,
        effort=prompt.effort,
    )
