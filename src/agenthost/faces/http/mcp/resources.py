"""What a host has to read: tasks, the files of their workspaces, files that were given."""

import base64

import mcp.types as types
import msgspec

from agenthost.core.api import Artifact, HostApi
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.media import media_type, named_type
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp.orders import FILES
from agenthost.faces.http.mcp.pages import TASKS, after_task, artifact_uri, task_of

TASKS_AT_ONCE = 20
"""Tasks whose files stand on one page."""
TEMPLATES = (
    types.ResourceTemplate(
        name="task",
        uri_template=TASKS + "{task}",
        description="A task: its state, what it asks, what it has used.",
        mime_type="application/json",
    ),
    types.ResourceTemplate(
        name="artifact", uri_template=TASKS + "{task}/artifacts/{+path}", description="A file of a task's workspace."
    ),
    types.ResourceTemplate(name="file", uri_template=FILES + "{digest}", description="A file by its content hash."),
)


def own(uri: str) -> bool:
    """Whether an address is the host's."""
    return uri.startswith((TASKS, FILES))


async def listed(api: HostApi, namespace: str, before: str) -> tuple[list[types.Resource], str]:
    """The files of the caller's tasks, the newest first, from the task after `before` on; where the next page begins."""
    before = await after_task(api, before)
    rows = await api.tasks(Filter(namespace, roots_only=True, before=before, limit=TASKS_AT_ONCE))
    found = [_listed(row, one) for row in rows for one in await api.artifacts(row.id)]
    return found, rows[-1].id if len(rows) == TASKS_AT_ONCE else ""


def _listed(row: TaskRow, one: Artifact) -> types.Resource:
    return types.Resource(
        name=one.path,
        uri=artifact_uri(row.id, one.path),
        description=f"Of task {row.id}: {row.title}",
        mime_type=named_type(one.path) or None,
        size=one.size,
    )


async def read(api: HostApi, uri: str) -> types.ReadResourceResult:
    """What stands at an address. Raises NotFound."""
    if uri.startswith(FILES):
        return _contents(uri, "", await api.get_file(uri.removeprefix(FILES)))
    task, path = task_of(uri)
    if not path:
        detail = msgspec.json.encode(await api.task(task)).decode()
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=uri, mime_type="application/json", text=detail)]
        )
    for one in await api.artifacts(task):
        if one.path == path:
            return _contents(uri, path, await api.get_file(one.digest))
    raise NotFound(f"the task '{task}' has no file '{path}'; resources/list shows what there is")


def _contents(uri: str, path: str, content: bytes) -> types.ReadResourceResult:
    media = media_type(path, content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or "\0" in text or media.startswith(("image/", "audio/", "video/")):
        blob = base64.b64encode(content).decode()
        one = types.BlobResourceContents(uri=uri, mime_type=media, blob=blob)
    else:
        one = types.TextResourceContents(uri=uri, mime_type=media, text=text)
    return types.ReadResourceResult(contents=[one])


async def complete(api: HostApi, namespace: str, argument: types.CompletionArgument, task: str) -> list[str]:
    """What an argument of a template may be, given its beginning."""
    if argument.name == "task":
        rows = await api.tasks(Filter(namespace, roots_only=True, limit=100))
        known = [row.id for row in rows]
    elif argument.name == "path" and task:
        try:
            known = [one.path for one in await api.artifacts(task)]
        except BadInput:
            known = []
    else:
        known = []
    return [one for one in known if one.startswith(argument.value)][:100]
