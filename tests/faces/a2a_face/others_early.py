"""Run by a Python that has a2a-sdk 0.3: an agent by that SDK's own server. `others_early.py PORT`"""

import sys

import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.apps import A2AStarletteApplication
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, FilePart, FileWithBytes, Part, TextPart
from a2a.utils import new_agent_text_message, new_task


def text(said: str) -> list[Part]:
    return [Part(root=TextPart(text=said))]


class Agent(AgentExecutor):
    """Answers by a message, a task, a question, or not at all: as it is told."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        said = context.get_user_input()
        if "briefly" in said:
            await event_queue.enqueue_event(new_agent_text_message(f"Briefly: {said}"))
            return
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        if "ask" in said:
            await updater.requires_input(updater.new_agent_message(text("Which colour?")), final=True)
            return
        await updater.start_work()
        if "fail" in said:
            await updater.failed(updater.new_agent_message(text("It broke.")))
            return
        file = FilePart(file=FileWithBytes(bytes="aGVsbG8=", mime_type="text/plain", name="a.txt"))
        await updater.add_artifact(text(f"Done: {said}"), name="answer")
        await updater.add_artifact([Part(root=file)], name="a.txt")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


port = int(sys.argv[1])
card = AgentCard(
    name="other",
    description="Another SDK's",
    url=f"http://127.0.0.1:{port}/",
    version="1",
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="other", name="other", description="Others", tags=["other"])],
)
handler = DefaultRequestHandler(agent_executor=Agent(), task_store=InMemoryTaskStore())
app = A2AStarletteApplication(agent_card=card, http_handler=handler).build()
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
