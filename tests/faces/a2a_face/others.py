"""An agent by the SDK's own server, in a process of its own. `others.py PORT BINDING`"""

import sys

import uvicorn
from a2a.helpers.proto_helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Message, Part, Role
from starlette.applications import Starlette


class Agent(AgentExecutor):
    """Answers by a message, a task, a question, or not at all: as it is told."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        said = context.get_user_input()
        assert context.message and context.task_id and context.context_id
        if "briefly" in said:
            parts = [Part(text=f"Briefly: {said}")]
            message = Message(message_id="b", role=Role.ROLE_AGENT, parts=parts, context_id=context.context_id)
            await event_queue.enqueue_event(message)
            return
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if "ask" in said:
            await updater.requires_input(updater.new_agent_message([Part(text="Which colour?")]))
            return
        await updater.start_work()
        if "fail" in said:
            await updater.failed(updater.new_agent_message([Part(text="It broke.")]))
            return
        await updater.add_artifact([Part(text=f"Done: {said}")], name="answer")
        await updater.add_artifact([Part(raw=b"hello", media_type="text/plain", filename="a.txt")], name="a.txt")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id and context.context_id
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


port, binding = int(sys.argv[1]), sys.argv[2]
card = AgentCard(
    name="other",
    description="Another SDK's",
    version="1",
    supported_interfaces=[
        AgentInterface(url=f"http://127.0.0.1:{port}", protocol_binding=binding, protocol_version="1.0")
    ],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="other", name="other", description="Others", tags=["other"])],
)
handler = DefaultRequestHandler(agent_executor=Agent(), task_store=InMemoryTaskStore(), agent_card=card)
routes = [*create_agent_card_routes(agent_card=card)]
routes += create_jsonrpc_routes(request_handler=handler, rpc_url="/") if binding == "JSONRPC" else []
routes += create_rest_routes(request_handler=handler) if binding == "HTTP+JSON" else []
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")
