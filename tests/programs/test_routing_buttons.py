"""The grammar of buttons: what is written is read again, in 64 bytes at most."""

from hypothesis import given
from hypothesis import strategies as st

from agenthost.programs.routing import buttons

names = st.one_of(
    st.from_regex(r"[0-9a-z]{16}(\.[a-z0-9-]{1,60}){0,3}", fullmatch=True), st.text(min_size=1, max_size=80)
)


@given(names, st.integers(1, 99))
def test_an_answer_is_read_again(question: str, option: int) -> None:
    data = buttons.answer(question, option)
    press = buttons.read(data)
    assert len(data.encode()) <= buttons.MOST_BYTES
    assert press is not None and (press.verb, press.option) == ("answer", option)
    assert buttons.meant(press.question, ["other", question]) == question


@given(st.integers(0, 10**12), st.one_of(st.just(""), names))
def test_a_choice_is_read_again(line: int, task: str) -> None:
    data = buttons.which(line, task)
    press = buttons.read(data)
    assert len(data.encode()) <= buttons.MOST_BYTES
    assert press is not None and (press.verb, press.line) == ("which", line)
    assert buttons.meant(press.task, ["other", task]) == task


@given(st.sampled_from(["cancel", "pause", "resume", "progress"]), names)
def test_an_order_is_read_again(verb: str, task: str) -> None:
    data = buttons.order(verb, task)  # pyright: ignore[reportArgumentType]
    press = buttons.read(data)
    assert len(data.encode()) <= buttons.MOST_BYTES
    assert press is not None and press.verb == verb and buttons.meant(press.task, [task]) == task


def test_a_short_form_that_fits_nothing_is_nothing() -> None:
    press = buttons.read(buttons.order("cancel", "x" * 100))
    assert press is not None and press.task.startswith("~") and buttons.meant(press.task, ["y" * 100]) == ""


@given(st.text(max_size=80))
def test_anything_else_is_none_or_well_formed(data: str) -> None:
    press = buttons.read(data)
    assert press is None or press.verb in buttons.VERBS


def test_what_is_not_quite_a_button_is_none() -> None:
    for data in (
        "",
        "answer:",
        "answer:x",
        "answer::1",
        "answer:x:-1",
        "which:",
        "which:x:y",
        "cancel:",
        "list:x",
        "delete:x",
    ):
        assert buttons.read(data) is None, data
