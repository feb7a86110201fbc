"""Which files of a task are shown with its answer, where nobody has named any."""

import mimetypes
from collections.abc import Sequence

from agenthost.core.api import Artifact
from agenthost.core.parts import FilePart

MOST = 10
"""Files that an answer brings; of more than these a chat would be full, and they are named by their number alone."""


def shown(
    artifacts: Sequence[Artifact], named: Sequence[str], brought: Sequence[FilePart]
) -> tuple[list[FilePart], str]:
    """The files of a workspace that come with an answer, and in words what doesn't. `named`: those that the program ended with, empty for all; `brought`:
    what the answer has already. What is hidden or a cache is nobody's result."""
    there = {file.digest for file in brought}
    found = [
        one for one in artifacts if one.digest not in there and (one.path in named or not (named or _hidden(one.path)))
    ]
    if len(found) <= MOST:
        return [file_of(one) for one in found], ""
    return [], f"({len(found)} files were made; they are kept with the task.)"


def file_of(artifact: Artifact) -> FilePart:
    """A file of a workspace as it is sent."""
    media = mimetypes.guess_type(artifact.path)[0] or "application/octet-stream"
    return FilePart(artifact.digest, media, artifact.size, artifact.path.rpartition("/")[2])


def _hidden(path: str) -> bool:
    return any(step.startswith(".") or step in ("__pycache__", "node_modules") for step in path.split("/"))
