"""Buttons that are pressed when they are over, and the files that come with an answer."""

import asyncio

from agenthost.core.api import Artifact, Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.parts import FilePart
from agenthost.core.tasks import Filter
from agenthost.host.conversing import doing, made
from agenthost.host.host import Host
from tests.host.conftest import ASKER, ECHO, Opens, log, opens

__all__ = ["log", "opens"]
HERE = "chat:1"


async def placed(host: Host, key: str, text: str = "", **fields: str) -> Placed:
    return await host.place(Incoming(text, conversation=HERE, key=key, channel="chat", name="asker", **fields))


async def line_of(host: Host, kind: str) -> Line:
    async with asyncio.timeout(20):
        while True:
            for line in await host.conversing.lines(LineFilter(conversation=HERE, by="host")):
                if line.kind == kind:
                    return line
            await asyncio.sleep(0.02)


async def test_who_presses_second_is_told_who_was_first_and_nothing_begins_anew(opens: Opens) -> None:
    host = await opens(work=True)
    await host.apply({"asker.yaml": ASKER})
    await placed(host, "k1", "paint the door")
    question = await line_of(host, "question")
    red, blue = question.buttons
    assert (await placed(host, "k2", "red", button=red.data)).became == "answer"
    for over in (False, True):
        late = await placed(host, f"k3{over}", "blue", button=blue.data)
        assert late.became == "told" and "'red', by owner" in late.said[0].text
        await line_of(host, "answer")
    # The same, where the name was too long to stand in the button.
    short = f"answer:~{'0' * 24}:1"
    late = await placed(host, "k4", "red", button=short, reply_to=question.id)
    assert (late.became, [line.text for line in late.said]) == ("told", [doing.OVER])
    gone = await placed(host, "k5", "Cancel", button=f"cancel:~{'0' * 24}")
    assert [line.text for line in gone.said] == [doing.OVER]
    assert len(await host.tasks(Filter())) == 1


def test_files_come_with_an_answer_unless_they_are_many_hidden_or_there_already() -> None:
    files = [Artifact(path, f"sha256:{path}", 1) for path in ("a.txt", "x/b.png", ".git/config", "__pycache__/c.pyc")]
    shown, more = made.shown(files, (), [FilePart("sha256:a.txt", "text/plain", 1, "a.txt")])
    assert [(one.name, one.media_type) for one in shown] == [("b.png", "image/png")] and not more
    assert [one.name for one in made.shown(files, (".git/config",), [])[0]] == ["config"], "what is named is meant"
    many = [Artifact(f"{number}.txt", f"sha256:{number}", 1) for number in range(made.MOST + 1)]
    assert made.shown(many, (), []) == ([], "(11 files were made; they are kept with the task.)")


WRITER = ECHO.replace("echo", "writer").replace(
    "instructions: Say it back.", "instructions: Write., tools: [workspace]"
)
WRITES = """\
rules:
  - when: {turn: 0, says: further}
    reply: {calls: [{tool: write_file, arguments: {path: "more.txt", content: "b"}}]}
  - when: {turn: 0, says: begin}
    reply: {calls: [{tool: write_file, arguments: {path: "notes.txt", content: "a"}}]}
  - reply: {text: "There."}
"""


async def test_what_a_task_made_comes_with_its_answer_and_not_what_it_began_with(opens: Opens) -> None:
    host = await opens(WRITES, WRITER, work=True)
    first = await host.place(Incoming("begin", conversation=HERE, key="k1", name="writer"))
    answer = await line_of(host, "answer")
    assert [file.name for file in answer.files] == ["notes.txt"]
    assert first.task is not None
    again = await host.place(Incoming("further", task=first.task.id, conversation=HERE, key="k2", name="writer"))
    assert again.became == "order"
    answers: list[Line] = []
    async with asyncio.timeout(20):
        while len(answers) < 2:
            await asyncio.sleep(0.02)
            answers = [
                one for one in await host.conversing.lines(LineFilter(conversation=HERE)) if one.kind == "answer"
            ]
    assert [file.name for file in answers[1].files] == ["more.txt"]
