"""The SDK's clients for 1.0 and 0.3, over JSON-RPC, HTTP+JSON and gRPC, against a real host."""

import pytest
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Part,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError

from tests.faces.a2a_face.clients import CALL, WAYS, all_of, client, saying, sent, texts
from tests.faces.a2a_face.conftest import Serving

S = TaskState
# gRPC's own poller leaves its sockets and locks to the garbage collector when a loop ends, as each test's does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ways = pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])


def agent_of(way: tuple[str, str], name: str) -> str:
    """0.3 has no tenants, so that its gRPC reaches the default agent alone: that is `asker`."""
    return "" if way == ("0.3", "GRPC") else name


@ways
async def test_a_message_waits_for_the_answer_and_the_task_can_be_had_again(
    serving: Serving, way: tuple[str, str]
) -> None:
    agent = agent_of(way, "echo")
    async with client(serving, way, agent) as to:
        if not agent:
            task = await sent(to, saying("hello", context="c1"))
            task = await sent(to, saying("blue", "m2", task.id, "c1"))
        else:
            task = await sent(to, saying("hello", context="c1"))
        assert task.status.state == S.TASK_STATE_COMPLETED and task.context_id == "c1"
        again = await to.get_task(GetTaskRequest(id=task.id), context=CALL)
        assert texts(again) == texts(task) == ["You said blue" if not agent else "You said hello"]
        assert again.history[0].parts[0].text == "hello" and again.history[0].message_id == "m1"
        if way[0] == "1.0":  # the SDK's 0.3 clients leave a 0 out
            assert not (await to.get_task(GetTaskRequest(id=task.id, history_length=0), context=CALL)).history


@ways
async def test_a_stream_begins_with_the_task_and_ends_with_its_end(serving: Serving, way: tuple[str, str]) -> None:
    agent = agent_of(way, "echo")
    async with client(serving, way, agent, stream=True) as to:
        events = await all_of(to.send_message(saying("slowly please"), context=CALL))
    kinds = [event.WhichOneof("payload") for event in events]
    assert kinds[0] == "task" and kinds[-1] == "status_update"
    assert events[-1].status_update.status.state == S.TASK_STATE_COMPLETED
    pieces = [event.artifact_update for event in events if event.WhichOneof("payload") == "artifact_update"]
    assert len(pieces) > 1 and pieces[-1].last_chunk and not pieces[0].append
    assert "".join(piece.artifact.parts[0].text for piece in pieces) == "one two three four five six"
    states = [event.status_update.status.state for event in events if event.WhichOneof("payload") == "status_update"]
    assert states == [S.TASK_STATE_WORKING, S.TASK_STATE_COMPLETED]


@ways
async def test_a_question_is_input_required_and_a_message_for_the_task_answers_it(
    serving: Serving, way: tuple[str, str]
) -> None:
    async with client(serving, way, agent_of(way, "asker")) as to:
        task = await sent(to, saying("go"))
        assert task.status.state == S.TASK_STATE_INPUT_REQUIRED
        assert task.status.message.parts[0].text == "Which colour?"
        done = await sent(to, saying("blue", "m2", task.id))
        assert done.id == task.id and done.context_id == task.context_id
        assert done.status.state == S.TASK_STATE_COMPLETED and texts(done) == ["You said blue"]
        told = [message.parts[0].text for message in done.history]
        assert told == ["go", "Which colour?", "blue"]
        with pytest.raises(UnsupportedOperationError):
            await sent(to, saying("more", "m3", task.id))


@ways
async def test_a_stream_ends_where_input_is_required_and_the_answer_has_a_stream_of_its_own(
    serving: Serving, way: tuple[str, str]
) -> None:
    async with client(serving, way, agent_of(way, "asker"), stream=True) as to:
        events = await all_of(to.send_message(saying("go"), context=CALL))
        assert events[-1].status_update.status.state == S.TASK_STATE_INPUT_REQUIRED
        task = events[-1].status_update.task_id
        events = await all_of(to.send_message(saying("red", "m2", task), context=CALL))
        assert events[0].task.id == task and events[0].task.status.state == S.TASK_STATE_WORKING
        assert events[-1].status_update.status.state == S.TASK_STATE_COMPLETED


@ways
async def test_a_task_that_goes_on_is_followed_by_another_and_cancelled(serving: Serving, way: tuple[str, str]) -> None:
    agent = agent_of(way, "echo")
    async with client(serving, way, agent) as to:
        task = await sent(to, saying("forever", return_immediately=True))
        assert task.status.state in (S.TASK_STATE_SUBMITTED, S.TASK_STATE_WORKING)
    async with client(serving, way, agent, stream=True) as to:
        following = to.subscribe(SubscribeToTaskRequest(id=task.id), context=CALL)
        first = await anext(following)
        assert first.task.id == task.id
        ended = await to.cancel_task(CancelTaskRequest(id=task.id), context=CALL)
        assert ended.status.state == S.TASK_STATE_CANCELED
        rest = await all_of(following)
        assert rest[-1].status_update.status.state == S.TASK_STATE_CANCELED
        with pytest.raises(TaskNotCancelableError):
            await to.cancel_task(CancelTaskRequest(id=task.id), context=CALL)
        with pytest.raises(A2AError):
            await all_of(to.subscribe(SubscribeToTaskRequest(id=task.id), context=CALL))


@ways
async def test_what_is_not_there_is_not_found(serving: Serving, way: tuple[str, str]) -> None:
    async with client(serving, way, agent_of(way, "echo")) as to:
        for asking in (
            to.get_task(GetTaskRequest(id="nothing"), context=CALL),
            to.cancel_task(CancelTaskRequest(id="nothing"), context=CALL),
            sent(to, saying("hello", task="nothing")),
        ):
            with pytest.raises(TaskNotFoundError):
                await asking


@pytest.mark.parametrize("way", [way for way in WAYS if way[0] == "1.0"], ids=lambda way: way[1])
async def test_tasks_are_listed_in_pages_the_last_changed_first(serving: Serving, way: tuple[str, str]) -> None:
    async with client(serving, way, "echo") as to:
        made = [await sent(to, saying(f"number {at}", context=f"c{at % 2}")) for at in range(5)]
        newest = [task.id for task in reversed(made)]
        first = await to.list_tasks(ListTasksRequest(page_size=2), context=CALL)
        assert [task.id for task in first.tasks] == newest[:2]
        assert first.total_size == 5 and first.page_size == 2 and first.next_page_token
        assert not first.tasks[0].artifacts and not first.tasks[0].history
        second = await to.list_tasks(ListTasksRequest(page_size=2, page_token=first.next_page_token), context=CALL)
        last = await to.list_tasks(ListTasksRequest(page_size=2, page_token=second.next_page_token), context=CALL)
        assert [task.id for task in (*second.tasks, *last.tasks)] == newest[2:] and last.next_page_token == ""
        of = await to.list_tasks(
            ListTasksRequest(context_id="c1", include_artifacts=True, history_length=1), context=CALL
        )
        assert [texts(task) for task in of.tasks] == [["You said number 3"], ["You said number 1"]]
        assert all(len(task.history) == 1 for task in of.tasks)
        none = await to.list_tasks(ListTasksRequest(status=S.TASK_STATE_FAILED), context=CALL)
        assert not none.tasks and none.total_size == 0


@ways
async def test_files_and_data_go_both_ways(serving: Serving, way: tuple[str, str]) -> None:
    if way == ("0.3", "GRPC"):
        pytest.skip("the default agent writes no files")
    async with client(serving, way, "writer") as to:
        file = Part(raw=b"some notes", filename="notes.txt", media_type="text/plain")
        task = await sent(to, saying("write", "m1", "", "", file))
        assert task.status.state == S.TASK_STATE_COMPLETED
        (written,) = [artifact for artifact in task.artifacts if artifact.name == "out/hello.txt"]
        assert written.parts[0].raw == b"hello there" and written.parts[0].filename == "hello.txt"
        assert task.history[0].parts[1].raw == b"some notes"
