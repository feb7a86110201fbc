import io
import json

import msgspec
import pytest
from rich.console import Console

from agenthost.cli.render import jsonl, plain, words
from agenthost.cli.render.live import Frames
from agenthost.cli.render.moments import Ended, Said, WentBack
from agenthost.cli.render.story import Story
from agenthost.cli.render.view import Prices, View
from agenthost.core.api import LiveDelta
from agenthost.core.commands import CallTool, Wait
from agenthost.core.models import Delta
from agenthost.core.tools import text_result
from tests.cli.recorded import BEGAN, ROOT, SECOND, Item, Recorder, question, sketch_to_code

PRICES = {"openai:gpt-5.5": Prices(1.25, 10.0)}
BOUNDS = {("sketch-to-code", "code"): 5}


def viewed(items: list[Item]) -> View:
    view = View(ROOT, PRICES, BOUNDS)
    for item in items:
        view.take(item)
    return view


def told(items: list[Item], width: int = 80, **more: object) -> str:
    view = View(ROOT, PRICES, BOUNDS)
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True, **more)  # type: ignore[arg-type]
    story = Story(view, console)
    for item in items:
        for moment in view.take(item):
            piece = story.tell(moment)
            if piece is not None:
                console.print(piece)
    return console.export_text()


def frame(view: View, width: int = 80, now: float = BEGAN + 5, lines: int = 40) -> str:
    console = Console(file=io.StringIO(), record=True, width=width, height=lines, force_terminal=True)
    console.print(Frames(view, console).frame(now))
    return console.export_text()


# --- the view ---------------------------------------------------------------------------------


def test_tokens_and_cost_are_counted_by_task_and_in_all() -> None:
    view = viewed(sketch_to_code())
    usage, cost, unpriced = view.totals()
    assert (usage.input, usage.output) == (6 * 1200 + 1500, 6 * 340 + 90)
    assert cost == pytest.approx((usage.input * 1.25 + usage.output * 10) / 1e6)
    assert unpriced == 0


def test_a_model_without_a_price_is_counted_as_such() -> None:
    view = View(ROOT)
    for item in sketch_to_code():
        view.take(item)
    assert view.totals()[1:] == (0.0, 7)


def test_going_back_is_told_once_with_its_bound() -> None:
    view = View(ROOT, PRICES, BOUNDS)
    back = [moment for item in sketch_to_code() for moment in view.take(item) if isinstance(moment, WentBack)]
    assert [(moment.role, moment.attempt, moment.most) for moment in back] == [("coder", 2, 5)]


def test_the_same_event_twice_counts_once() -> None:
    items = sketch_to_code()
    view = viewed(items)
    assert [moment for item in items if not isinstance(item, LiveDelta) for moment in view.take(item)] == []
    assert view.totals() == viewed(items).totals()


def test_what_the_task_did_to_its_files_is_the_last_of_every_path() -> None:
    assert viewed(sketch_to_code()).changes == {"main.py": "sha256:2"}


def test_a_reset_takes_back_the_words_so_far() -> None:
    view = View(ROOT)
    view.take(LiveDelta(ROOT, "m1", 1, Delta(text="wrong")))
    view.take(LiveDelta(ROOT, "m1", 2, Delta(reset=True)))
    view.take(LiveDelta(ROOT, "m1", 2, Delta(text="right")))
    assert view.top.words == "right"


def test_a_question_is_open_until_it_is_answered() -> None:
    assert [ask.question for ask in viewed(question()).questions.values()] == ["Which database shall I use?"]
    assert viewed(question(answered=True)).questions == {}


def test_at_the_end_nothing_is_at_work() -> None:
    assert viewed(sketch_to_code()).active() == []


# --- the story in a terminal --------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(words_width, told(sketch_to_code(), width).splitlines())) <= min(width, 120)


def words_width(line: str) -> int:
    return len(line.rstrip())


def test_the_story_shows_failure_repair_and_verdict() -> None:
    story = told(sketch_to_code())
    assert "● spec · sketch-reader" in story
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'state.json'" in story
    assert "✗ exit 1" in story
    assert "↩ goes back to coder (attempt 2 of 5)" in story
    assert "● code · coder  attempt 2 of 5" in story
    assert "the provider allows no" in story
    assert "count is now 1" in story
    assert "✓ exit 0" in story
    assert "pass  true" in story
    for line in SECOND.splitlines():
        assert line.rstrip() in story


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    view = View(ROOT, PRICES, BOUNDS)
    console = Console(file=Ascii(), width=80, force_terminal=True)
    story = Story(view, console)
    pieces = [story.tell(moment) for item in sketch_to_code() for moment in view.take(item)]
    for piece in pieces:
        if piece is not None:
            console.print(piece)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "code - coder" in shown
    assert "x exit 1" in shown


def test_long_output_and_code_are_bounded() -> None:
    to = Recorder()
    to.begin("agent", "coder")
    to.write(ROOT, 1, "big.py", "x = 1\n" * 5000)
    story = told(to.items)
    assert len(story.splitlines()) < 70
    assert "4940 more lines" in story


def test_a_file_that_is_written_again_is_told_as_what_changed() -> None:
    to = Recorder()
    to.begin("agent", "coder")
    begin = "".join(f"line_{number} = {number}\n" for number in range(30))
    to.write(ROOT, 1, "main.py", begin)
    to.write(ROOT, 2, "main.py", begin.replace("line_20 = 20", "line_20 = 21"))
    first, again = told(to.items).split("wrote main.py")[1:]
    assert "line_3 = 3" in first
    assert "1 line new, 1 gone" in again
    assert "-line_20 = 20" in again and "+line_20 = 21" in again
    assert "line_3 = 3" not in again


def test_a_file_that_is_written_anew_is_told_whole() -> None:
    to = Recorder()
    to.begin("agent", "coder")
    to.write(ROOT, 1, "main.py", "a = 1\nb = 2\n")
    to.write(ROOT, 2, "main.py", "c = 3\nd = 4\n")
    assert "gone" not in told(to.items)
    assert "c = 3" in told(to.items)


def test_lists_of_a_structured_answer_are_points_and_empty_fields_are_left_out() -> None:
    to = Recorder()
    to.begin("agent", "checker")
    to.think(ROOT, 1, '{"pass": false, "reasons": ["It is slow.", "It is late."], "feedback": ""}')
    story = told(to.items)
    assert "- It is slow." in story and "- It is late." in story
    assert "feedback" not in story and "[" not in story


@pytest.mark.parametrize("id", ["deadline", "run-1-timeout"])
def test_a_limit_on_time_is_no_work(id: str) -> None:
    to = Recorder()
    to.begin("workflow", "sketch-to-code")
    to.ask(ROOT, Wait(id, BEGAN + 3600))
    to.child("code-1", "coder", "write it", "coder")
    assert "waiting" not in frame(viewed(to.items))


def test_a_wait_that_is_the_work_stands_in_the_frame() -> None:
    to = Recorder()
    to.begin("workflow", "sketch-to-code")
    to.ask(ROOT, Wait("code-1-delay", BEGAN + 60))
    assert "waiting" in frame(viewed(to.items))


@pytest.mark.parametrize("evil", ["\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "a\x08b", "\u202eexe.txt", "\r\x1b[1A"])
def test_foreign_text_cannot_drive_the_terminal(evil: str) -> None:
    to = Recorder()
    to.begin("agent", "coder")
    to.ask(ROOT, CallTool("t1", "shell", {"command": f"echo {evil}"}))
    to.answer(ROOT, "t1", text_result(f"before{evil}after"))
    to.think(ROOT, 1, f"said{evil}so")
    view = View(ROOT)
    lines: list[str] = []
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    story = Story(view, console)
    for item in to.items:
        for moment in view.take(item):
            lines.append(plain.line(view, moment))
            piece = story.tell(moment)
            if piece is not None:
                console.print(piece)
    shown = "\n".join(lines) + console.file.getvalue()  # type: ignore[attr-defined]
    for bad in ("\x1b]", "\x1b[2J", "\x9b", "\x08", "\u202e", "\r", "\x07", "\x1b[1A"):
        assert bad not in shown
    assert "before" in shown and "after" in shown


# --- what goes on now ----------------------------------------------------------------------------


def test_the_frame_names_who_works_on_what_and_for_how_long() -> None:
    items = sketch_to_code()
    at = next(number for number, item in enumerate(items) if isinstance(item, LiveDelta))
    shown = frame(viewed(items[: at + 8]), now=BEGAN + 5)
    assert "spec · sketch-reader" in shown
    assert "default  answers" in shown
    assert "5.0s" in shown
    assert "│ The picture shows a **counter**:" in shown


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_frame_fits_the_terminal(width: int) -> None:
    view = View(ROOT, PRICES, BOUNDS)
    for item in sketch_to_code():
        view.take(item)
        lines = frame(view, width).splitlines()
        assert len(lines) <= 18
        assert max(map(len, map(str.rstrip, lines)), default=0) <= width


def test_a_waiting_question_stands_in_the_frame() -> None:
    assert "waits for your answer" in frame(viewed(question()))


# --- lines and objects ----------------------------------------------------------------------------


def test_a_moment_is_one_line_however_long_its_text() -> None:
    view = View(ROOT)
    to = Recorder()
    to.begin("agent", "coder")
    to.think(ROOT, 1, "word\n" * 1000)
    lines = [plain.line(view, moment) for item in to.items for moment in view.take(item)]
    assert all("\n" not in line and len(line) < 240 for line in lines)


def test_an_event_in_json_reads_back_as_what_was_journalled() -> None:
    for item in sketch_to_code():
        body = json.loads(jsonl.line(item))
        if isinstance(item, LiveDelta):
            assert body["delta"] == msgspec.to_builtins(item.delta)
            continue
        fields = {key: value for key, value in body.items() if key not in ("task", "seq", "at", "kind")}
        assert msgspec.convert({"type": body["kind"], **fields}, type(item.event)) == item.event


def test_the_end_says_outcome_time_and_reason() -> None:
    view = View(ROOT)
    ended = [
        plain.line(view, moment) for item in sketch_to_code() for moment in view.take(item) if isinstance(moment, Ended)
    ]
    assert ended[-1].endswith("ended: done in 14s: the checker passed attempt 2")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (59.4, "59s"), (59.6, "1m 00s"), (3599.7, "1h 00m"), (7620, "2h 07m")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(999, "999"), (1000, "1.0k"), (9_949, "9.9k"), (34_200, "34k"), (999_499, "999k"), (1_500_000, "1.5M")],
)
def test_counts(number: int, shown: str) -> None:
    assert words.count(number) == shown


def test_a_model_that_was_cut_says_so() -> None:
    said = Said(task=ROOT, at=BEGAN, text="abc", model="m", usage=viewed([]).top.usage, seconds=1, stop="length")
    console = Console(file=io.StringIO(), record=True, width=80)
    piece = Story(View(ROOT), console).tell(said)
    assert piece is not None
    console.print(piece)
    assert "cut at the longest answer allowed" in console.export_text()


def test_what_a_command_waits_for_is_told() -> None:
    notice = LiveDelta(ROOT, "c1", 1, Delta(notice="waits for 512 MiB of memory (2 before it)"))
    assert "waits for 512 MiB of memory (2 before it)" in told([*sketch_to_code()[:2], notice])
