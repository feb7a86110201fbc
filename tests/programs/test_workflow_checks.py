"""A step of a workflow that is a check: what the host is asked, and what its answer makes of the step."""

from workflows import play

from agenthost.core.checks import FileLook, ReportLook, Seen
from agenthost.core.commands import Inspect, RunCommand, StartChild
from agenthost.core.parts import text_of

CODE = {"id": "code", "role": "coder", "prompt": "p {{ feedback }}"}


def test_a_file_that_is_not_as_wanted_sends_the_work_back_with_why() -> None:
    look = {"id": "look", "check": {"file": {"path": "a.txt"}}, "onFail": {"goto": "code", "max": 2}}
    book = play([CODE, look])
    book.ended("code-1", "written")
    assert book.open["look-1"] == Inspect("look-1", FileLook("a.txt"))
    book.answer("look-1", Seen(False, "there is no file 'a.txt'", {"path": "a.txt"}))
    again = book.open["code-2"]
    assert isinstance(again, StartChild)
    assert "there is no file 'a.txt'" in text_of(again.parts)
    book.ended("code-2", "written")
    book.answer("look-2", Seen(True, "", {"path": "a.txt", "size": 3}))
    assert book.finish is not None and book.finish.verdict.outcome == "done"


def test_what_was_seen_is_the_steps_data() -> None:
    look = {"id": "look", "check": {"file": {"path": "a.txt"}}, "passes": "result.data.size > 5"}
    book = play([look])
    book.answer("look-1", Seen(True, "", {"path": "a.txt", "size": 3}))
    assert book.evaluation("look-1-passes").names["result"]["data"]["size"] == 3
    book.value("look-1-passes", False)
    assert book.finish is not None and book.finish.verdict.outcome == "unachievable"


def test_a_commands_report_counts_beside_its_exit_code() -> None:
    check = {"run": "make test", "report": {"path": "r.xml", "tests": 2}, "expect": {"exitCode": None}}
    book = play([{"id": "test", "check": check}])
    assert book.open["test-1"] == RunCommand("test-1", "make test", report=ReportLook("r.xml", 2))
    book.ran("test-1", 0, report=Seen(False, "1 tests were run"))
    assert book.finish is not None and "1 tests were run" in book.finish.verdict.reason
