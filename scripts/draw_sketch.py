"""Draws examples/sketch-to-code/sketch.png: a small system as somebody would sketch it with three pens.

The lettering is a stroke font of our own: a glyph is strokes, a stroke is points `xy` on a grid (x 0..4, y 0 the
height of capitals, 8 the base line, a and b below it), `~` makes it a curve. Every point wobbles; the seed is fixed,
so that the same picture comes out each time. Run it after a change, and look at what it drew:

    .venv/bin/python scripts/draw_sketch.py
"""

import math
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

OUT = Path(__file__).parent.parent / "examples" / "sketch-to-code" / "sketch.png"
SIZE = (1400, 960)
SCALE = 2  # drawn larger, then made smaller, for soft edges
INK, RED, GREEN = (38, 52, 92), (178, 52, 44), (38, 112, 82)
PAPER, DOT = (250, 246, 235), (222, 217, 203)

GLYPHS = {
    "A": "082048 1535", "B": "0008 ~002031332404 ~042445472808", "C": "~4130100206183847", "D": "0008 ~002042462808",
    "E": "40000848 0434", "F": "400008 0434", "G": "~4130100206183846 464424", "H": "0008 4048 0444",
    "I": "0020 1018 0828", "J": "~3036281806", "K": "0008 4005 1448", "L": "000848", "M": "0800254048",
    "N": "08004840", "O": "~20020628464220", "P": "0008 ~003041433404", "Q": "~20020628464220 2649",
    "R": "0008 ~003041433404 2448", "S": "~413010010314344547381807", "T": "0040 2028", "U": "~000618384640",
    "V": "002840", "W": "0018233840", "X": "0048 4008", "Y": "0024 4024 2428", "Z": "00400848",
    "a": "~4433130506183846 4348", "b": "0008 ~0413334546381807", "c": "~4433130506183847",
    "d": "~4433130506183846 4048", "e": "0545 ~454433130506183847", "f": "~30201218 0333",
    "g": "~4433130506183846 ~43493b1b0a", "h": "0008 ~0513334548", "i": "0308 0001", "j": "~13190b 1011",
    "k": "0008 3306 1538", "l": "~000718", "m": "0308 ~04132428 ~24334448", "n": "0308 ~0513334548",
    "o": "~331305061838464533", "p": "030b ~0413334546381807", "q": "~4433130506183846 434b", "r": "0308 ~051333",
    "s": "~34231304152637281807", "t": "~11172838 0333", "u": "~0306183846 4348", "v": "032843",
    "w": "0318243843", "x": "0348 4308", "y": "0328 431b", "z": "03430848",
    "0": "~20020628364220", "1": "022028", "2": "~021030423408 0848", "3": "~011030414324 ~24344547381807",
    "4": "300545 3038", "5": "400003 ~03334546381807", "6": "~30110406183846341406", "7": "004018",
    "8": "~240220422406284624", "9": "~42301002143442 ~42453818",
    ".": "0708", ",": "180a", ":": "0405 0708", "-": "0535", "_": "0949", ">": "024508", "<": "420548",
    "=": "0444 0747", "#": "1008 4038 0343 0646", "(": "~20020628", ")": "~00222608", "+": "0545 2327",
    "/": "4008", "'": "0002", '"': "0002 2022", "!": "0005 0708", "?": "~011030413325 2728",
    "[": "20000828", "]": "00202808",
}  # fmt: skip

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Pen:
    """Draws wobbly strokes of one seed's hand."""

    def __init__(self, seed: int) -> None:
        self.image = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._chance = random.Random(seed)

    def paper(self) -> None:
        """A dotted notebook page."""
        for y in range(30, SIZE[1], 28):
            for x in range(30, SIZE[0], 28):
                self._dot(x, y, 1.1, DOT)

    def stroke(self, points: list[Point], colour: Colour, width: float = 3.0) -> None:
        """A line through points, of a pen whose pressure changes a little."""
        steps = _dense(points)
        phase = self._chance.uniform(0, math.tau)
        for at, (x, y) in enumerate(steps):
            press = 1 + 0.16 * math.sin(phase + at / 23) + self._chance.uniform(-0.05, 0.05)
            self._dot(x, y, width / 2 * press, colour)

    def line(self, start: Point, end: Point, colour: Colour, width: float = 3.0, sway: float = 2.2) -> None:
        """A straight line by hand: it sways, and overshoots a bit."""
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0) or 1
        nx, ny = (y0 - y1) / length, (x1 - x0) / length
        pieces = max(3, int(length / 60))
        points: list[Point] = []
        for piece in range(pieces + 1):
            part, off = piece / pieces, self._chance.uniform(-sway, sway)
            points.append((x0 + (x1 - x0) * part + nx * off, y0 + (y1 - y0) * part + ny * off))
        self.stroke(_curve(points), colour, width)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour = INK) -> None:
        """Four lines that almost meet."""
        over = 5
        self.line((x0 - over, y0), (x1 + over, y0 + 2), colour)
        self.line((x1, y0 - over), (x1 - 2, y1 + over), colour)
        self.line((x1 + over, y1), (x0 - over, y1 - 2), colour)
        self.line((x0, y1 + over), (x0 + 2, y0 - over), colour)

    def page(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A sheet with a folded corner."""
        fold = 34
        self.line((x0, y0), (x1 - fold, y0 + 1), INK)
        self.line((x1 - fold, y0), (x1, y0 + fold), INK)
        self.line((x1 - fold, y0), (x1 - fold + 2, y0 + fold), INK)
        self.line((x1 - fold, y0 + fold), (x1, y0 + fold), INK)
        self.line((x1, y0 + fold), (x1 - 1, y1), INK)
        self.line((x1, y1), (x0, y1 - 1), INK)
        self.line((x0, y1), (x0 + 1, y0 - 4), INK)

    def drum(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A cylinder, as stores are drawn."""
        middle, wide, high = (x0 + x1) / 2, (x1 - x0) / 2, 26
        for top, begin, end in ((y0, -0.2, math.tau + 0.1), (y1, 0, math.pi)):
            turn = [begin + (end - begin) * part / 40 for part in range(41)]
            wobble = self._chance.uniform(0, math.tau)
            points = [
                (middle + wide * math.cos(a), top + high * math.sin(a) + 1.8 * math.sin(a * 3 + wobble)) for a in turn
            ]
            self.stroke(_curve(points), INK)
        self.line((x0, y0), (x0 + 1, y1), INK)
        self.line((x1, y0), (x1 - 2, y1), INK)

    def arrow(self, points: list[Point], colour: Colour = INK) -> None:
        """A curve with a head."""
        moved = [
            (x + self._chance.uniform(-2, 2), y + self._chance.uniform(-2, 2)) if 0 < at < len(points) - 1 else (x, y)
            for at, (x, y) in enumerate(points)
        ]
        path = _curve(moved)
        self.stroke(path, colour, 3.4)
        (x0, y0), (x1, y1) = path[-4], path[-1]
        angle = math.atan2(y1 - y0, x1 - x0)
        for turn in (2.6, -2.55):
            self.line((x1, y1), (x1 + 24 * math.cos(angle + turn), y1 + 24 * math.sin(angle + turn)), colour, 3.4, 1)

    def under(self, x0: float, x1: float, y: float, colour: Colour) -> None:
        """Underlined twice, quickly."""
        self.line((x0, y), (x1, y - 4), colour, 3.2)
        self.line((x0 + 22, y + 9), (x1 - 14, y + 5), colour, 2.4)

    def text(self, x: float, y: float, words: str, size: float, colour: Colour = INK, slope: float = 0.0) -> float:
        """Words from (x, y), the top left of capitals `size` high; the x where they end. `slope`: rise a pixel."""
        unit, begin = size / 8, x
        drift = self._chance.uniform(0, math.tau)
        for letter in words:
            if letter == " ":
                x += unit * 3.6
                continue
            strokes = [_read(stroke) for stroke in GLYPHS[letter].split()]
            lean, grow = self._chance.uniform(-0.05, 0.05), self._chance.uniform(0.95, 1.06)
            lift = self._chance.uniform(-0.35, 0.35) + 0.3 * math.sin(drift + x / 90)
            for smooth, points in strokes:
                placed: list[Point] = []
                for px, py in points:
                    px, py = px + self._chance.uniform(-0.16, 0.16), py + self._chance.uniform(-0.16, 0.16)
                    along = x + unit * grow * (px * 0.92 + (8 - py) * (0.09 + lean))
                    placed.append((along, y + unit * (grow * py + lift) - slope * (along - begin)))
                self.stroke(_curve(placed) if smooth else placed, colour, max(1.9, size / 8.6))
            x += unit * (max(px for _, points in strokes for px, _ in points) * 0.92 + 1.75)
        return x

    def lines(self, x: float, y: float, words: list[str], size: float, gap: float, colour: Colour = INK) -> None:
        """Words under each other."""
        for at, line in enumerate(words):
            self.text(x + self._chance.uniform(-2, 2), y + at * gap, line, size, colour, self._chance.uniform(0, 0.008))

    def _dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        x, y, radius = x * SCALE, y * SCALE, radius * SCALE
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _read(stroke: str) -> tuple[bool, list[Point]]:
    smooth = stroke.startswith("~")
    marks = stroke.lstrip("~")
    return smooth, [(int(marks[at], 16), int(marks[at + 1], 16)) for at in range(0, len(marks), 2)]


def _curve(points: list[Point]) -> list[Point]:
    """A Catmull-Rom curve through points."""
    if len(points) < 3:
        return points
    ends = [points[0], *points, points[-1]]
    found: list[Point] = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for step in range(8):
            t = step / 8
            found.append(
                tuple(
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )  # type: ignore[arg-type]
            )
    return [*found, points[-1]]


def _dense(points: list[Point]) -> list[Point]:
    """Points so near each other that dots make a line."""
    found: list[Point] = []
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        count = max(1, int(math.hypot(x1 - x0, y1 - y0) * 1.6))
        found += [(x0 + (x1 - x0) * step / count, y0 + (y1 - y0) * step / count) for step in range(count)]
    return [*found, points[-1]]


def sketch(pen: Pen) -> None:
    """The parcel tracker."""
    pen.paper()
    end = pen.text(60, 46, "Parcel tracker", 46, INK, 0.01)
    pen.under(58, end + 10, 116, RED)
    pen.text(560, 62, "which parcels are late?", 25, GREEN, 0.012)

    pen.text(66, 166, "events.txt", 24, RED)
    pen.page(56, 210, 556, 428)
    pen.lines(76, 232, ["# time   parcel  status  place"], 17, 30, GREEN)
    pen.lines(76, 264, [
        "2026-03-02T09:00 P-104 SCANNED Hamburg",
        "2026-03-02T10:30 P-105 SCANNED Bremen",
        "",
        "2026-03-03T11:00 P-104 DELIVERED Kiel",
        "2026-03-04T12:30 P-105 IN_TRANSIT Kassel",
    ], 17, 32)  # fmt: skip
    pen.arrow([(566, 318), (590, 312), (622, 320)])

    pen.box(634, 196, 946, 448)
    pen.text(742, 214, "parse", 28, RED)
    pen.lines(656, 268, ["time parcel status place", "skip blank lines", "skip # comments", "bad line: stop, say",
                         "which line number"], 19, 33)  # fmt: skip
    pen.arrow([(956, 316), (984, 322), (1016, 314)])

    pen.drum(1030, 206, 1346, 420)
    pen.text(1138, 246, "store", 28, RED)
    pen.lines(1056, 302, ["per parcel:", "first + last time,", "last status + place"], 20, 36)
    pen.arrow([(1190, 458), (1196, 500), (1188, 540)])

    pen.box(1000, 552, 1352, 812)
    pen.text(1120, 570, "late?", 28, RED)
    pen.lines(1024, 626, ["hours = now - first", "DELIVERED: last - first", "> 48 h: LATE", "else: on time"], 20, 36)
    pen.text(1024, 774, "now = newest event in file!", 17, RED, 0.006)
    pen.arrow([(990, 684), (962, 678), (930, 686)])

    pen.box(634, 572, 918, 800)
    pen.text(720, 590, "report", 28, RED)
    pen.lines(656, 644, ["one line a parcel", "sorted by parcel:", "parcel status place", "hours LATE/on time"], 19, 35)
    pen.arrow([(624, 684), (596, 690), (562, 682)])

    pen.text(66, 548, "printed", 24, RED)
    pen.page(56, 592, 550, 762)
    pen.lines(76, 634, ["P-104 DELIVERED Kiel 26h on time", "P-105 IN_TRANSIT Kassel 50h LATE"], 19, 52)

    pen.text(60, 868, "python main.py [FILE]   (else events.txt)", 23, GREEN, 0.004)
    pen.text(818, 866, "SCANNED > IN_TRANSIT > DELIVERED", 20, INK, 0.006)
    pen.text(818, 910, "and some tests, please!", 20, RED, 0.006)


def main() -> None:
    """Draw it, and write it with few colours."""
    pen = Pen(seed=7)
    sketch(pen)
    soft = pen.image.filter(ImageFilter.GaussianBlur(0.6)).resize(SIZE, Image.Resampling.LANCZOS)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    soft.quantize(48, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
