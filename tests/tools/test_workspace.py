from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.errors import Unavailable
from agenthost.core.ids import digest
from agenthost.core.ports import Tool
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.core.tools import ToolResult
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.stores.tree import WorkspaceLimits
from agenthost.stores.workspaces import FolderWorkspaces
from agenthost.testing.tools import PlainContext, ToolSuite
from agenthost.tools.registry import ToolRegistry
from agenthost.tools.workspace import MOST, outcome_text

ALL = ["list_files", "read_file", "write_file", "edit_file", "delete_file", "run"]


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[PlainContext]:
    blobs = MemoryBlobs()
    workspaces = FolderWorkspaces(tmp_path, blobs, WorkspaceLimits(files=2000, file=1_000_000))
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    yield PlainContext(workspace, blobs)
    await workspaces.close()


async def call(context: PlainContext, name: str, **arguments: Any) -> ToolResult:
    return await ToolRegistry().tool(name).call(arguments, context)


class TestEachTool(ToolSuite):
    @pytest.fixture(params=ALL)
    def tool(self, request: pytest.FixtureRequest) -> Tool:
        return ToolRegistry().tool(request.param)

    async def test_it_may_be_repeated_after_a_crash(self, tool: Tool) -> None:
        assert tool.spec.repeatable and not tool.spec.approval
        assert await tool.check("key", {}) is None


async def test_writing_reading_editing_and_deleting_record_what_changed(context: PlainContext) -> None:
    wrote = await call(context, "write_file", path="src/a.py", content="one\ntwo\n")
    assert (wrote.text, wrote.error, wrote.changes) == (
        "Wrote src/a.py (8 bytes).",
        False,
        {"src/a.py": digest(b"one\ntwo\n")},
    )
    context.workspace.committed(wrote.changes)
    assert (await call(context, "read_file", path="src/a.py")).text == "one\ntwo"
    edited = await call(context, "edit_file", path="src/a.py", old="two", new="2 ü")
    assert edited.text == "Edited src/a.py at line 2."
    assert edited.changes == {"src/a.py": digest("one\n2 ü\n".encode())}
    context.workspace.committed(edited.changes)
    assert (await call(context, "list_files")).text == "src/a.py (9)"
    deleted = await call(context, "delete_file", path="src/a.py")
    assert (deleted.text, deleted.changes) == ("Deleted src/a.py.", {"src/a.py": None})
    assert (await call(context, "list_files")).text == "The workspace is empty."


@pytest.mark.parametrize("name", ["read_file", "delete_file"])
async def test_a_missing_file_is_told_to_the_model(context: PlainContext, name: str) -> None:
    result = await call(context, name, path="none.py")
    assert result.error and result.text == "there is no file 'none.py'; list the files to see what is there"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", ""])
async def test_a_path_that_leads_out_is_told_to_the_model(context: PlainContext, path: str) -> None:
    for name, more in (
        ("read_file", {}),
        ("write_file", {"content": "x"}),
        ("edit_file", {"old": "a", "new": ""}),
        ("delete_file", {}),
    ):
        result = await call(context, name, path=path, **more)
        assert result.error and "src/main.py" in result.text


async def test_an_edit_needs_exactly_one_place(context: PlainContext) -> None:
    await call(context, "write_file", path="a", content="if x:\n    y\nif z:\n    y\n")
    twice = await call(context, "edit_file", path="a", old="    y\n", new="")
    assert twice.error and "2 times" in twice.text and "more of the lines around it" in twice.text
    none = await call(context, "edit_file", path="a", old="nothing", new="")
    assert none.error and none.text.startswith("`old` is not in a; read the file")
    spaced = await call(context, "edit_file", path="a", old="if x:\n\ty", new="")
    assert "other spaces" in spaced.text
    assert (await call(context, "edit_file", path="a", old="if z:\n    y", new="pass")).error is False
    assert (await context.workspace.read("a")) == b"if x:\n    y\npass\n"


async def test_a_long_file_is_read_in_windows_that_say_how_to_go_on(context: PlainContext) -> None:
    await context.workspace.write("a", b"".join(b"line %05d\n" % n for n in range(1, 5001)))
    first = (await call(context, "read_file", path="a")).text
    assert len(first) < MOST + 100
    last = first.splitlines()[-1]
    assert last.startswith("[lines 1 to ") and " of 5000; go on with offset " in last
    offset = int(last.rpartition(" ")[2].rstrip("]"))
    second = (await call(context, "read_file", path="a", offset=offset, limit=2.0)).text
    assert second == f"line {offset:05d}\nline {offset + 1:05d}\n[lines {offset} to {offset + 1} of 5000]"
    beyond = await call(context, "read_file", path="a", offset=5001)
    assert beyond.error and "has 5000 lines" in beyond.text


async def test_a_very_long_line_and_binary_and_empty_files_are_told(context: PlainContext) -> None:
    await context.workspace.write("long", b"x" * 50_000)
    await context.workspace.write("binary", b"\xff\xfe")
    await context.workspace.write("empty", b"")
    long = (await call(context, "read_file", path="long")).text
    assert len(long) < MOST + 200 and "line 1 of long has 50,000 characters" in long
    binary = await call(context, "read_file", path="binary")
    assert binary.error and "not a text file" in binary.text
    assert (await call(context, "read_file", path="empty")).text == "empty is empty."


async def test_a_long_list_says_how_to_narrow_it(context: PlainContext) -> None:
    for number in range(1200):
        Path(context.workspace.folder, f"a-file-with-a-long-name-{number:04d}.txt").touch()
    listed = (await call(context, "list_files")).text
    assert len(listed) < MOST + 200 and "of 1200 files are not shown; narrow it with `pattern`]" in listed
    assert (await call(context, "list_files", pattern="*-0007.txt")).text == "a-file-with-a-long-name-0007.txt (0)"
    assert (await call(context, "list_files", pattern="*.py")).text == "None of the 1200 files is like '*.py'."


async def test_a_run_shows_code_and_output_and_records_what_it_wrote(context: PlainContext) -> None:
    result = await call(context, "run", command="echo out; echo err >&2; printf 1 > made; exit 3", timeout=5)
    assert result.text == "exit code: 3\nstdout:\nout\nstderr:\nerr"
    assert not result.error and result.changes == {"made": digest(b"1")}
    assert (await call(context, "run", command="true")).text == "exit code: 0\nno output"
    assert context.timeouts == [5, None]


async def test_a_workspace_beyond_its_limits_is_told_with_the_output(context: PlainContext) -> None:
    result = await call(context, "run", command="echo done; head -c 2000000 /dev/zero > big")
    assert result.error and not result.changes
    assert "stdout:\ndone" in result.text and "'big' has 2,000,000 bytes" in result.text and "delete it" in result.text


def test_long_output_loses_its_middle_and_says_so() -> None:
    text = outcome_text(SandboxOutcome(1, b"begin" + b"x" * 100_000 + b"end", b"y" * 100_000, cut=7, limit="time"))
    assert len(text) < MOST + 700
    assert "stdout:\nbegin" in text and "end\nstderr" in text and "characters are left out" in text
    assert "stopped: it ran out of time" in text and "[7 more bytes of output were dropped" in text
    assert "y" * 19_000 in outcome_text(SandboxOutcome(0, b"", b"y" * 19_000))  # one may use what the other leaves


async def test_what_the_model_cannot_mend_is_raised(context: PlainContext) -> None:
    class WithoutSandbox(PlainContext):
        async def run(self, command: str, timeout: float | None = None) -> SandboxOutcome:
            raise Unavailable("no sandbox is here; run: apt-get install bubblewrap")

    with pytest.raises(Unavailable, match="bubblewrap"):
        await call(WithoutSandbox(context.workspace, context.blobs), "run", command="true")


async def test_half_a_surrogate_pair_is_told(context: PlainContext) -> None:
    assert (await call(context, "write_file", path="a", content="\ud800")).error
    assert (await call(context, "write_file", path="a\ud800", content="x")).error
