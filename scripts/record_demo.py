"""Records `agenthost demo` in a terminal of its own and draws what it showed as docs/demo.svg.

A real run: a pseudo-terminal of 100 columns, a new home, no model connected. What a frame drew over is gone, as on a
screen; what scrolled by stays. Paths of this machine are told as a person's would be.

    .venv/bin/python scripts/record_demo.py
"""

import fcntl
import io
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "demo.svg"
COLUMNS, ROWS = 100, 50
HOME = "~/.local/share/agenthost"
THEME = TerminalTheme(
    (24, 26, 32),
    (214, 216, 222),
    [(60, 64, 74), (236, 106, 106), (134, 196, 116), (226, 186, 98), (108, 160, 236), (198, 138, 226), (92, 196, 200), (200, 203, 210)],
    [(112, 118, 132), (255, 134, 134), (164, 224, 146), (250, 212, 126), (142, 188, 255), (222, 170, 250), (126, 222, 226), (240, 242, 246)],
)  # fmt: skip
LEFT_OUT = {
    "● spec · sketch-reader": (6, 15),
    "wrote main.py  48 lines": (2, 9),
    "parcels = {}": (1, 29),
    "wrote events.txt": (3, 6),
    "wrote test_main.py": (4, 25),
}
"""Lines below these that the picture leaves out, from and to: it would be too tall."""


def record(home: str) -> bytes:
    """What the demo writes to a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTHOST_", "OPENAI_"))}
        env = kept | {"AGENTHOST_HOME": home, "TERM": "xterm-256color", "COLORTERM": "", "LANG": "C.UTF-8"}
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "agenthost.cli", "demo"], env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        written += piece
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(written.decode(errors="replace"))
    return written


def screen(written: str) -> list[str]:
    """The lines that stay: a frame's are erased by the sequences that rich draws the next one with."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r|\n|[^\x1b\r\n]+", written):
        if token in ("\n", "\r\n"):
            row += 1
            if row == len(lines):
                lines.append("")
        elif token == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", token):
            row = max(0, row - int(token[2:-1] or 1))
        elif token.startswith("\x1b") and token.endswith("m") or not token.startswith("\x1b") and token != "\r":
            lines[row] += token
    return lines


def shortened(lines: list[Text]) -> list[Text]:
    """Without the middle of long files."""
    found: list[Text] = []
    below, key = 0, ""
    for line in lines:
        key, below = next(((each, 0) for each in LEFT_OUT if each in line.plain), (key, below + 1))
        first, last = LEFT_OUT.get(key, (0, -1))
        if below == first and key:
            found.append(Text("  │ …", "dim"))
        if not first <= below <= last:
            found.append(line)
    return found


def main() -> None:
    """Record, draw, write."""
    with tempfile.TemporaryDirectory() as home:
        written = record(home).decode()
    written = written.replace(home, HOME).replace(str(ROOT) + "/", "")
    lines = shortened(list(AnsiDecoder().decode("\n".join(screen(written)))))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ make demo", "bold green"))
    for line in lines:
        console.print(line, overflow="crop", no_wrap=True)
    drawn = console.export_svg(title="agenthost demo", theme=THEME, unique_id="demo")
    # No font is fetched from elsewhere: the reader's own monospaced one does.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )
    OUT.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n", encoding="utf-8")
    print(f"{OUT.relative_to(ROOT)}: {OUT.stat().st_size:,} bytes, {len(lines)} lines")


if __name__ == "__main__":
    main()
