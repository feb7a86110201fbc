"""The evidence of a recorded task, made from what was recorded alone: whoever has it can make it again and compare."""

from agenthost.core.errors import AgentHostError
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.lifecycle import FINAL
from agenthost.host.proof import desk as proof
from agenthost.host.replaying.recording import Recording, library_of


async def evidence_of(recording: Recording) -> EvidencePack:
    """The pack of the task at the top. Raises Unusable and NotFound where the recording doesn't show one."""

    async def journal(task: str) -> list[Recorded]:
        return list(recording.journals[task])

    return await proof.evidence(journal, library_of(recording), recording.row, list(recording.rows[1:]))


async def evidence_files(recording: Recording) -> dict[str, bytes]:
    """The pack as it is among the task's artifacts; nothing where it has none there."""
    row, first = recording.row, list(recording.journals[recording.task][:1])
    try:
        if row.state not in FINAL or not await proof.has_files(library_of(recording), first, row):
            return {}
        return proof.files(await evidence_of(recording))
    except AgentHostError:
        return {}  # a journal that can't be read shows nothing
