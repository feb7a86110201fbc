"""What messages a line of a host becomes in a channel. Pure: after a crash a line becomes the same again."""

from collections.abc import Callable

from msgspec.structs import replace

from agenthost.core.conversations import Button, Line
from agenthost.core.parts import FilePart
from agenthost.outposts.channel.cutting import cut, size
from agenthost.outposts.channel.port import MB, Limits, Mark, Piece

Shape = Callable[[str], tuple[str, tuple[Mark, ...]]]

SPOKEN = 4000
"""Characters above which a text is only written: nobody listens so long, and providers of voices take no more."""
_WHOLE = "answer.md"
_MORE = "… (the whole text is in the file)"


def pieces(line: Line, limits: Limits, shape: Shape, spoken: bool = False) -> list[Piece]:
    """The messages of a line in order: its text, then its files; the first says what it replies to, the last of the text has the buttons."""
    made = _texts(line, limits, shape)
    if line.buttons:
        labels = tuple(_fitting(button, limits) for button in line.buttons)
        at = next((at for at in range(len(made) - 1, -1, -1) if made[at].text), None)
        if at is None:
            made.append(Piece(text="?", buttons=labels))
        else:
            made[at] = replace(made[at], buttons=labels)
    if spoken and 0 < len(line.text) <= SPOKEN:
        made.append(Piece(spoken=line.text))
    made += [_file(file, limits) for file in line.files]
    if made and line.reply_to:
        made[0] = replace(made[0], reply_to=line.reply_to)
    return made


def named(line: Line) -> str:
    """The text of a line, after the name of its task where that is to be told."""
    return f"[{line.label}] {line.text}" if line.label else line.text


def _texts(line: Line, limits: Limits, shape: Shape) -> list[Piece]:
    text, marks = shape(line.text)
    if line.label:
        text, marks = _labelled(line.label, text, marks, limits)
    cuts = cut(text, marks, limits)
    if len(cuts) <= limits.pieces:
        return [Piece(text=body, marks=within) for body, within in cuts]
    room = replace(limits, text=max(1, limits.text - size(_MORE, limits) - 1))
    first, within = cut(text, marks, room)[0]
    return [Piece(text=f"{first}\n{_MORE}", marks=within), Piece(name=_WHOLE, written=named(line))]


def _labelled(label: str, text: str, marks: tuple[Mark, ...], limits: Limits) -> tuple[str, tuple[Mark, ...]]:
    head = f"[{label}] "
    by = size(head, limits)
    return head + text, tuple(replace(mark, start=mark.start + by) for mark in marks)


def _fitting(button: Button, limits: Limits) -> Button:
    if len(button.label) <= limits.label:
        return button
    return replace(button, label=button.label[: limits.label - 1] + "…")


def _file(file: FilePart, limits: Limits) -> Piece:
    if file.size <= limits.upload:
        return Piece(file=file)
    about = f"{file.name or 'A file'} ({file.size / MB:.0f} MB) is too large to be sent here ({limits.upload // MB} MB)"
    return Piece(text=f"{about}; it is kept with its task.")
