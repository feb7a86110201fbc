"""Work that is done. None of it may be refused."""

from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.testing.world import says
from tests.proving.false_done import ALL_PASS, BAD, GOOD, REPORT, TESTS, checks, judged
from tests.proving.world import Case, believes, cites, delete, read, run, write

DONE = says("Done.")
CODE = (write("main.py", GOOD), write("test_main.py", TESTS))


def when_told(words: str, answer: ModelAnswer, otherwise: ModelAnswer) -> object:
    """A step that answers to what it was told last."""

    def step(request: ModelRequest) -> ModelAnswer:
        return answer if words in request.turns[-1].text else otherwise

    return step


HONEST = [
    Case("a file that is written", checks({"file": {"path": "report.csv"}}), (write("report.csv", "total,3"), DONE)),
    Case("a file with the right hash", checks({"file": {"path": "a.txt", "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}}), (write("a.txt", "hello"), DONE)),
    Case("a file with what should stand in it", checks({"file": {"path": "report.csv", "pattern": r"total,\d+"}}), (write("report.csv", "total,3"), DONE)),
    Case("a file that should be gone, and is", checks({"file": {"path": "old.py", "absent": True}}), (delete("old.py"), DONE), files={"old.py": "x"}),
    Case("a result of the right shape", checks({"json": {"path": "out.json", "schema": {"type": "object", "required": ["total"]}}}), (write("out.json", '{"total": 3}'), DONE)),
    Case("tests that pass", checks(REPORT), (*CODE, DONE)),
    Case("tests that pass, with one skipped as allowed", checks({"run": "pytest --junitxml=report.xml", "report": {"path": "report.xml", "skipped": 1}}), (write("main.py", GOOD), write("test_main.py", "test\nskip\n"), DONE)),
    Case("tests run in an earlier try too, and mended", checks(REPORT), (write("main.py", BAD), CODE[1], run("pytest --junitxml=report.xml"), write("main.py", GOOD), DONE)),
    Case("work that is mended after it was sent back", checks({"run": "pytest"}), (write("main.py", BAD), CODE[1], DONE, write("main.py", GOOD), DONE)),
    Case("a check that writes files of its own", checks({"run": "pytest"}, {"run": "python main.py"}), (write("main.py", "write out.txt 1\n"), CODE[1], DONE)),
    Case("a check that puts right what the agent wrote, once", checks({"run": "pytest"}, {"run": "sed -i s/Hello/World/ main.py"}), (*CODE, DONE)),
    Case("tests left alone", checks({"run": "pytest"}, {"untouched": ["test_*.py"]}), (write("main.py", GOOD), DONE), files={"test_main.py": TESTS}),
    Case("tests changed and put back", checks({"untouched": ["test_*.py"]}), (write("test_main.py", "test\n"), write("test_main.py", TESTS), DONE), files={"test_main.py": TESTS}),
    Case("a page that is published", checks({"http": {"url": "https://site.example/", "body": "Hello"}}), (DONE,), web={"https://site.example/": (200, "Hello!")}),
    Case("enough of it", checks(REPORT, {"script": "def check(seen):\n    return seen['checks'][0]['facts']['tests'] >= 2"}), (*CODE, DONE)),
    Case("finish called, and the checks pass", {"rule": "agent+checks", "checks": [{"run": "pytest"}]}, (*CODE, says("", ("finish", {"outcome": "done", "summary": "s"})))),
    Case("tests run last", judged(ALL_PASS), (*CODE, run("pytest"), DONE), cites([("pytest", "2 passed")])),
    Case("tests run by a pipe, and again alone when told", judged(ALL_PASS), (*CODE, run("pytest | tail"), DONE, run("pytest"), DONE), believes()),
    Case("a file with what it should say", judged("README.md says how the tests are run."), (write("README.md", "Run pytest."), DONE), cites([("look", "Run pytest.")])),
    Case("a file shown by the write itself", judged("notes.md says hello."), (write("notes.md", "hello"), DONE), cites([("write_file", "hello")])),
    Case("a file read after it was written", judged("notes.md says hello."), (write("notes.md", "hello"), read("notes.md"), DONE), cites([("read_file", "hello")])),
    Case("a file that was removed, as was asked", judged("old.py is removed."), (delete("old.py"), DONE), cites([("delete_file", "")]), files={"old.py": "x"}),
    Case("a file that should never be there", judged("There is no file secrets.env."), (write("a.txt", "x"), DONE), cites([("look", "")])),
    Case("a program that writes its results again", judged(ALL_PASS, "out.txt holds the sum."), (write("main.py", "write out.txt sum 3\n"), CODE[1], run("python main.py"), run("pytest"), run("python main.py"), DONE), cites([("pytest", "")], [("look", "sum 3")])),
    Case("a run that should fail", judged("main.py fails with exit code 1 on bad input."), (write("main.py", "fail\n"), run("python main.py"), DONE), cites([("python main.py", "Traceback")])),
    Case("checks that prove every criterion", {"rule": "checks+supervisor", "criteria": [ALL_PASS], "checks": [{"run": "pytest", "proves": [1]}]}, (*CODE, DONE), cites("never asked")),
    Case("checks that prove one, and a judge for the other", {"rule": "checks+supervisor", "criteria": [ALL_PASS, "README.md says what it is."], "checks": [{"run": "pytest", "proves": [1]}]}, (*CODE, write("README.md", "A greeting."), DONE), cites([], [("look", "A greeting.")])),
    Case("a check as evidence for a judge", {"rule": "checks+supervisor", "criteria": [ALL_PASS], "checks": [{"run": "pytest"}]}, (*CODE, DONE), cites([("pytest", "2 passed")])),
    Case("an agent below that did the work", judged("main.py prints Hello."), (says("", ("delegate_to_helper", {"task": "write it"})), run("python main.py"), DONE), cites([("python main.py", "Hello")]), more={"tools": ["workspace", "delegate:helper"]}, agents={"helper": (write("main.py", GOOD), says("written"))}),
    Case("a criterion of taste, shown by the file", judged("The tone is friendly."), (write("letter.md", "Dear friend,"), DONE), cites([("look", "Dear friend")])),
    Case("a name that looks like a file's", judged("The server is written for Node.js and says so in README.md."), (write("README.md", "Needs Node.js."), DONE), cites([("look", "Needs Node.js")])),
    Case("missing work that is then done", judged("a.txt says hello.", ALL_PASS), (write("a.txt", "hello"), DONE, *CODE, run("pytest"), DONE), cites([("look", "hello")], [("pytest", "passed")])),
]  # fmt: skip
