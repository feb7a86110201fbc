"""What came of a task, as a tool's result."""

import base64
from typing import Any, cast

import mcp.types as types
import msgspec

from agenthost.core.api import HostApi, OpenQuestion
from agenthost.core.events import Finished
from agenthost.core.parts import DataPart, FilePart, Part, TextPart
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp import asking
from agenthost.faces.http.mcp.orders import FILES
from agenthost.faces.http.mcp.pages import artifact_uri

MOST_INLINE = 1024 * 1024
"""Bytes of a picture or a sound that stands in a result itself; what is larger is a link."""
MOST_LINKS = 50
"""Files of a workspace that a result links to; `resources/list` has all."""
TASK = "dev.agenthost/task"
VERDICT = "dev.agenthost/verdict"

Content = types.ContentBlock


async def finished(api: HostApi, row: TaskRow, event: Finished, shaped: bool) -> types.CallToolResult:
    """The result of a task that ended. `shaped`: the tool said what its structured result looks like."""
    verdict = event.verdict
    content = [block for part in event.parts for block in await _blocks(api, part)]
    failed = verdict.outcome != "done"
    if failed or not content:
        content.append(_text(f"{verdict.outcome}: {verdict.reason}" if verdict.reason else verdict.outcome))
    content += await _links(api, row)
    data = [part.data for part in event.parts if isinstance(part, DataPart)]
    structured = cast("dict[str, Any]", data[0]) if len(data) == 1 and isinstance(data[0], dict) else None
    return types.CallToolResult(
        content=content,
        structured_content=structured,
        is_error=failed or (shaped and structured is None),
        _meta={TASK: row.id, VERDICT: msgspec.to_builtins(verdict)},
    )


def waiting(task: str, questions: tuple[OpenQuestion, ...], shaped: bool) -> types.CallToolResult:
    """The result of a call whose task waits for a person. A tool with a structured result has none to give yet."""
    return types.CallToolResult(
        content=[_text(asking.told(task, questions))],
        is_error=shaped,
        _meta={TASK: task, "dev.agenthost/questions": [asking.name_of(question) for question in questions]},
    )


def failure(message: str, task: str = "") -> types.CallToolResult:
    """A result that says what went wrong, for whoever called to mend it."""
    return types.CallToolResult(content=[_text(message)], is_error=True, _meta={TASK: task} if task else None)


async def _blocks(api: HostApi, part: Part) -> list[Content]:
    match part:
        case TextPart():
            return [_text(part.text)] if part.text else []
        case DataPart():
            return [_text(msgspec.json.encode(part.data).decode())]
        case FilePart():
            return [await _file(api, part)]


async def _file(api: HostApi, part: FilePart) -> Content:
    kind = part.media_type.partition("/")[0]
    if kind not in ("image", "audio") or part.size > MOST_INLINE:
        return types.ResourceLink(
            name=part.name or part.digest, uri=FILES + part.digest, mime_type=part.media_type, size=part.size
        )
    data = base64.b64encode(await api.get_file(part.digest)).decode()
    if kind == "image":
        return types.ImageContent(data=data, mime_type=part.media_type)
    return types.AudioContent(data=data, mime_type=part.media_type)


async def _links(api: HostApi, row: TaskRow) -> list[Content]:
    found = await api.artifacts(row.id)
    links: list[Content] = [
        types.ResourceLink(name=one.path, uri=artifact_uri(row.id, one.path), size=one.size)
        for one in found[:MOST_LINKS]
    ]
    if len(found) > MOST_LINKS:
        links.append(_text(f"{len(found) - MOST_LINKS} more files: list them with resources/list"))
    return links


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def wire(result: types.Result) -> dict[str, Any]:
    """A result as it stands on the wire."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
