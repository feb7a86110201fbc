import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.diffs import file_diff


def test_the_difference_of_files_reads_as_usual() -> None:
    before = {"a.py": b"one\ntwo\nthree\n", "gone": b"x\n", "same": b"1"}
    after = {"a.py": b"one\n2\nthree\n", "new": b"y", "same": b"1"}
    told = [file_diff(path, before.get(path), after.get(path)) for path in sorted(before | after)]
    assert "".join(told) == (
        "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+y\n\\ No newline at end of file\n"
    )


def test_binary_files_are_told_by_size() -> None:
    assert file_diff("a", b"\0", b"\0\0") == "Binary files a/a (1 bytes) and b/a (2 bytes) differ\n"
    assert file_diff("a", None, b"\xff") == "Binary files /dev/null (0 bytes) and b/a (1 bytes) differ\n"
    assert "differ" in file_diff("a", b"x", b"x\n" * 500_000)


def test_an_empty_file_that_came_is_told_and_nothing_where_nothing_differs() -> None:
    assert file_diff("a", None, b"") == "--- /dev/null\n+++ b/a\n"
    assert file_diff("a", b"x", b"x") == "" == file_diff("a", None, None)


def test_a_path_cannot_forge_lines() -> None:
    assert file_diff("a\n+++ b/evil\x1b[2J", b"1\n", b"2\n").count("\n") == 5


LINES = st.lists(st.sampled_from(["a", "b", "", "c\r", "\x0c", "ü"]), max_size=6).map("\n".join)


@settings(max_examples=40, deadline=None)
@given(LINES, LINES)
def test_the_patch_program_makes_the_second_of_the_first(first: str, second: str) -> None:
    # `git apply` where it is there; it takes exactly what a unified diff says.
    diff = file_diff("f", first.encode(), second.encode())
    if not diff:
        assert first == second
        return
    with TemporaryDirectory() as folder:
        Path(folder, "f").write_bytes(first.encode())
        done = subprocess.run(
            ["git", "apply", "--unidiff-zero", "--whitespace=nowarn", "-"],
            input=diff.encode(),
            cwd=folder,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        assert Path(folder, "f").read_bytes() == second.encode()
