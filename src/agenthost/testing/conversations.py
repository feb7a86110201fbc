"""The conformance suite of `core.conversations.Conversations`. Subclass `ConversationsSuite` and give it fixtures
`conversations` and `store` (of one and the same thing, open)."""

from msgspec.structs import replace

from agenthost.core.conversations import ConversationInfo, Conversations, Line, LineFilter, Thread, Wanted
from agenthost.core.events import VERSION
from agenthost.core.lifecycle import State
from agenthost.core.meanings import Meant, packed
from agenthost.core.parts import FilePart
from agenthost.core.ports import Append, NewTask, Store, StoredEvent
from agenthost.core.routing import Decision
from agenthost.core.tasks import TaskRow

ANN = Thread("default", "ann", "chat:1")
PICTURE = FilePart("sha256:aa", "image/png", 3, "a.png")


def _said(id: str, text: str = "", task: str = "", **more: object) -> Line:
    line = Line("chat:1", id, "person", "message", 1.0, text, task=task, person="ann", channel="chat")
    return replace(line, **more)


def _told(id: str, task: str, question: str = "", **more: object) -> Line:
    kind, state = ("question", "asked") if question else ("answer", "filed")
    line = Line("chat:1", id, "host", kind, 2.0, "?", task=task, question=question, state=state, person="ann")
    return replace(line, channel="chat", **more)


async def _made(store: Store, task: str, state: State = "working", conversation: str = "") -> None:
    root = task.partition(".")[0]
    parent = root if root != task else ""
    row = TaskRow(task, "agent", "a", state, 1.0, 1.0, person="ann", root=root, owner="me", epoch=1, parent=parent)
    created = StoredEvent(1, 1.0, "created", VERSION, b"{}")
    await store.create(NewTask(replace(row, conversation=conversation), created))


async def _step(store: Store, task: str, state: State, seq: int) -> None:
    event = StoredEvent(seq, 2.0, "noted", VERSION, b"{}")
    await store.append(Append(task, 1, (event,), state, 2.0))


class ConversationsSuite:
    """What every keeper of conversations does."""

    async def test_a_line_counts_once_and_is_kept_as_it_is(self, conversations: Conversations) -> None:
        line = _said("m1", "hello", files=(PICTURE,), reply_to="m0", decision=Decision("new", rule="nothing-known"))
        (kept,) = await conversations.add([line])
        assert kept == replace(line, place=kept.place) and kept.place > 0
        assert await conversations.add([replace(line, text="again")]) == [kept]
        assert await conversations.line(kept.place) == kept
        assert await conversations.line(kept.place + 1) is None
        elsewhere = await conversations.add([replace(line, person="bob"), replace(line, conversation="chat:2")])
        assert [each.place > kept.place for each in elsewhere] == [True, True]
        assert await conversations.named(ANN, "m1") == kept
        assert await conversations.named(replace(ANN, person="eve"), "m1") is None

    async def test_lines_come_in_their_order_and_to_whom_they_belong(self, conversations: Conversations) -> None:
        added = await conversations.add([_said("m1"), _told("t1", "T"), _said("m2"), _said("m3", person="bob")])
        of_ann = LineFilter(person="ann")
        assert [each.id for each in await conversations.lines(of_ann)] == ["m1", "t1", "m2"]
        assert [each.id for each in await conversations.lines(replace(of_ann, after=added[0].place))] == ["t1", "m2"]
        assert [each.id for each in await conversations.lines(replace(of_ann, channel="chat", by="host"))] == ["t1"]
        assert await conversations.lines(replace(of_ann, channel="other")) == []
        assert [each.id for each in await conversations.lines(replace(of_ann, task="T"))] == ["t1"]
        assert await conversations.lines(LineFilter(person="bob", task="T")) == []
        named = replace(of_ann, conversation="chat:1", newest=True, limit=2)
        assert [each.id for each in await conversations.lines(named)] == ["t1", "m2"]
        assert [each.id for each in await conversations.lines(replace(named, newest=False))] == ["m1", "t1"]
        assert await conversations.lines(replace(named, conversation="chat:9")) == []
        assert await conversations.lines(replace(of_ann, namespace="lab")) == []

    async def test_a_line_of_the_hosts_is_found_by_what_its_channel_calls_it(
        self, conversations: Conversations
    ) -> None:
        told, other = await conversations.add([_told("t1", "T"), _told("t2", "T")])
        await conversations.shown(told.place, ["701", "702"])
        found = await conversations.named(ANN, "702")
        assert found == replace(told, sent=("701", "702"))
        await conversations.shown(told.place, ["703"])
        assert await conversations.named(ANN, "701") is None
        await conversations.shown(other.place + 1, ["704"])
        assert await conversations.named(ANN, "704") is None

    async def test_what_isnt_filed_yet_is_known(self, conversations: Conversations) -> None:
        first, second = await conversations.add([_said("m1", state="waiting"), _said("m2", state="asked")])
        assert await conversations.unsettled(ANN) == [first, second]
        assert await conversations.behind() == [ANN]
        await conversations.change([replace(first, state="filed", task="T")])
        assert await conversations.unsettled(ANN) == [second]
        await conversations.change([replace(second, state="filed"), replace(second, place=second.place + 1)])
        assert await conversations.behind() == []
        assert [each.task for each in await conversations.lines(LineFilter(person="ann"))] == ["T", ""]

    async def test_a_conversation_is_gathered_with_its_tasks(self, conversations: Conversations, store: Store) -> None:
        for task in ("A", "B", "C", "D"):
            await _made(store, task)
            await conversations.add([_said(f"m{task}", f"about {task}", task)], [f"word{task}", "common"])
        await _step(store, "C", "completed", 2)
        await conversations.add([_told("q1", "A", "A/ask1"), _said("m9", "hm")])
        found = await conversations.gather(ANN, Wanted())
        assert [(each.task.id, each.task.state) for each in found.topics] == [
            ("A", "working"),
            ("D", "working"),
            ("C", "completed"),
            ("B", "working"),
        ]
        assert [line.id for line in found.topics[0].lines] == ["mA", "q1"]
        assert [line.question for line in found.topics[0].questions] == ["A/ask1"]
        assert (found.open, found.waiting) == (3, 1)
        assert [line.id for line in found.recent] == ["mA", "mB", "mC", "mD", "q1", "m9"]
        few = await conversations.gather(ANN, Wanted(("wordB",), open=1, ended=0, found=1, lines=1, recent=1))
        assert [each.task.id for each in few.topics] == ["A", "B"]
        assert [line.id for line in few.topics[0].lines] == ["q1"]
        assert (few.open, [line.id for line in few.recent]) == (3, ["m9"])
        named = await conversations.gather(ANN, Wanted(open=0, ended=0, tasks=("B", "nothing")))
        assert [each.task.id for each in named.topics] == ["B"]
        assert (await conversations.gather(Thread("default", "eve", "chat:1"), Wanted(tasks=("B",)))).topics == ()

    async def test_a_question_is_open_until_it_is_settled(self, conversations: Conversations, store: Store) -> None:
        await _made(store, "A")
        line, *_ = await conversations.add([_said("m1", task="A"), _told("q1", "A", "A/1"), _told("q2", "A", "A.c/1")])

        async def questions() -> list[str]:
            found = await conversations.gather(ANN, Wanted())
            assert len(found.topics[0].questions) == found.waiting
            return [each.question for each in found.topics[0].questions]

        assert await questions() == ["A/1", "A.c/1"]
        await conversations.change([line], settled=["A/1"])
        assert await questions() == ["A.c/1"]
        await conversations.tell("A", 2, [_told("q3", "A", "A/2")])
        assert await questions() == ["A.c/1", "A/2"]
        await conversations.tell("A", 3, [], ["*"])
        assert await questions() == []

    async def test_ends_and_questions_of_topics_are_marked_until_they_are_told(
        self, conversations: Conversations, store: Store
    ) -> None:
        await _made(store, "A")
        await _made(store, "A.c")
        await _made(store, "B")
        await conversations.add([_said("m1", task="A")])
        for task in ("A.c", "B"):
            await _step(store, task, "input-required", 2)
        assert await conversations.marks(10) == [("A.c", 2, 0)]
        (told,) = await conversations.tell("A.c", 2, [_told("A.c:2", "A", "A.c/1")])
        assert await conversations.tell("A.c", 2, [_told("A.c:2", "A", "A.c/1")]) == []
        assert await conversations.line(told.place) == told
        assert await conversations.marks(10) == []
        await _step(store, "A.c", "working", 3)
        assert await conversations.marks(10) == [("A.c", 3, 2)]
        await conversations.tell("A.c", 3, [])
        await _step(store, "A.c", "working", 4)
        await _step(store, "A", "completed", 2)
        marks = [mark for mark in await conversations.marks(10) if mark[0] == "A"]
        assert marks == [("A", 2, 0)]
        await conversations.tell("A", 2, [_told("A:2", "A")])
        assert [mark for mark in await conversations.marks(10) if mark[0] == "A"] == []

    async def test_a_task_that_was_begun_elsewhere_is_a_topic_of_a_conversation_that_is_held(
        self, conversations: Conversations, store: Store
    ) -> None:
        await _made(store, "A", conversation="chat:1")
        await conversations.add([_said("m1")])
        await _made(store, "B", conversation="chat:1")
        await _made(store, "C", conversation="chat:2")
        assert await conversations.topic("B") == ANN
        assert await conversations.topic("C") is None
        assert "B" in [each.task.id for each in (await conversations.gather(ANN, Wanted())).topics]

    async def test_conversations_are_listed_the_last_first(self, conversations: Conversations, store: Store) -> None:
        await _made(store, "A")
        await conversations.add(
            [_said("m1", task="A"), _said("m2", conversation="chat:2", channel=""), _told("q", "A", "A/1")]
        )
        first, second = await conversations.conversations("default", "ann", 10)
        assert first == ConversationInfo("chat:1", "chat", 2.0, first.place, 1, 1)
        assert second == ConversationInfo("chat:2", "", 1.0, second.place)
        assert await conversations.conversations("default", "ann", 1) == [first]
        assert await conversations.conversations("default", "bob", 10) == []

    async def test_what_tasks_are_about_is_kept_and_found_by_meaning(
        self, conversations: Conversations, store: Store
    ) -> None:
        for name in ("t1", "t2", "t3"):
            await _made(store, name)
        lines = [_said(f"m{name}", task=name) for name in ("t1", "t2")]
        await conversations.add([*lines, _said("m3", task="t3", conversation="chat:2")])
        east, north, south = (packed(vector) for vector in ((1.0, 0.1), (0.1, 1.0), (-0.1, -1.0)))
        await conversations.mean(
            "m", {"t1": Meant("a", east), "t2": Meant("b", south), "t3": Meant("c", north), "gone": Meant("d", north)}
        )
        assert await conversations.meant("m", ["t1", "t3", "gone"]) == {"t1": Meant("a", east), "t3": Meant("c", north)}
        assert await conversations.meant("other", ["t1"]) == {}
        assert list(await conversations.nearest(ANN, "m", north, 5)) == ["t1", "t2"]
        near = await conversations.nearest(ANN, "m", south, 1)
        assert near == {"t2": 1.0}
        assert await conversations.nearest(replace(ANN, person="eve"), "m", north, 5) == {}
        assert await conversations.nearest(ANN, "m", packed((1.0, 0.0, 0.0)), 5) == {}
        # One a task: what it is about now is in the place of what it was about.
        await conversations.mean("other", {"t2": Meant("e", north)})
        assert await conversations.meant("m", ["t1", "t2"]) == {"t1": Meant("a", east)}
        assert list(await conversations.nearest(ANN, "other", north, 5)) == ["t2"]
