"""Small pictures for the page, as SVG: plain numbers in, and all colours from the page's style sheet.

No text out of a file goes into one but through `cleaned` and `escape`.
"""

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import escape

from vlbench.judging.words import in_digits
from vlbench.untrusted.names import line as cleaned

WIDTH = 220
HEIGHT = 20
EDGE = 6
"""Pixels at both ends of an axis that nothing is drawn at but the ends of marks."""
STRIP = 34


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from `low` to `high`, both above 0, which the pictures of one column share."""

    low: float
    high: float
    width: float = WIDTH
    start: float = EDGE
    """Where `low` is, in pixels; `high` is at `width` less the edge."""

    @classmethod
    def over(cls, values: Iterable[float], **options: float) -> "Axis":
        """An axis that holds all of these, and no less than 2 % of a span."""
        known = [value for value in values if 0 < value < math.inf] or [1.0]
        low, high = min(known), max(known)
        if high < 1.02 * low:
            low, high = low / 1.01, high * 1.01
        return cls(low, high, **options)

    def at(self, value: float) -> float:
        """Where a value is, in hundredths of a pixel; what lies beyond an end is at that end."""
        share = math.log(min(max(value, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.width - EDGE - self.start), 2)

    @property
    def ticks(self) -> list[float]:
        """Round numbers along it, three or more where that can be."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        if self.high > 10 * self.low:
            several = [
                [step * 10.0**power for power in powers for step in steps] for steps in ((1,), (1, 3), (1, 2, 5))
            ]
        else:
            unit = 10.0 ** math.floor(math.log10(self.high - self.low))
            several = [
                [step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
                for step in (unit, 0.5 * unit, 0.2 * unit, 0.1 * unit)
            ]
        inside = ([round(each, 12) for each in found if self.low <= each <= self.high] for found in several)
        return next((found for found in inside if len(found) >= 3), [self.low, self.high])


def svg(width: float, height: float, inside: Iterable[str], told: str, name: str, *, wide: bool = False) -> str:
    """A picture; `told` is what it shows, for who cannot see it, and `wide` lets it fill its box."""
    size = "" if wide else f' width="{width:g}" height="{height:g}"'
    label = escape(cleaned(told))
    return (
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}"{size} role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(inside)}</svg>"
    )


def scale(axis: Axis, unit: str = "", factor: float = 1.0) -> str:
    """The axis itself, for the head of its column; a label that would meet the one before it is left out."""
    marks, end = [], -math.inf
    for tick in axis.ticks:
        text, at = f"{in_digits(tick * factor)}{unit}", axis.at(tick)
        half = 3.2 * len(text)
        left = min(max(at - half, 0), axis.width - 2 * half)
        if left > end + 4:
            marks.append(f'<text x="{left + half:g}" y="11" text-anchor="middle">{text}</text>')
            marks.append(f'<path d="M{at:g} 15v5"/>')
            end = left + 2 * half
    return svg(axis.width, HEIGHT, marks, "scale", "scale")


def interval(axis: Axis, middle: float, low: float, high: float, tone: str, told: str) -> str:
    """A dot with its interval, and a line where there is no change."""
    one, y = axis.at(1.0), HEIGHT // 2
    marks = [
        f'<path class="one" d="M{one:g} 0V{HEIGHT}"/>',
        f'<path class="reach {tone}" d="M{axis.at(low):g} {y}H{axis.at(high):g}"/>',
        f'<circle class="{tone}" cx="{axis.at(middle):g}" cy="{y}" r="3.5"/>',
    ]
    return svg(axis.width, HEIGHT, marks, told, "interval")


def strip(axis: Axis, calls: Sequence[float], middle: float, told: str) -> str:
    """A dot for each call, from the first above to the last below, and a line at the median."""
    step = (STRIP - 6) / max(1, len(calls) - 1)
    dots = "".join(f"M{axis.at(each):g} {3 + step * at:.1f}h0" for at, each in enumerate(calls))
    line = f'<path class="middle" d="M{axis.at(middle):g} 0V{STRIP}"/>'
    return svg(axis.width, STRIP, [f'<path class="dots" d="{dots}"/>', line], told, "strip")


def bars(before: float, after: float, most: float, told: str) -> str:
    """Two bars, one above the other, of which the longest of the column fills its width."""
    lengths = [round((WIDTH - 2) * each / most, 2) if most else 0.0 for each in (before, after)]
    marks = [
        f'<rect class="{tone}" x="0" y="{y}" width="{length:g}" height="7"/>'
        for tone, y, length in zip(("before", "after"), (2, 11), lengths, strict=True)
    ]
    return svg(WIDTH, HEIGHT, marks, told, "bars")


@dataclass(frozen=True)
class Line:
    """One line of a chart: for each point where it is, and the least, the middle and the most of its figure."""

    name: str
    place: int
    """Of its colour."""
    points: Sequence[tuple[float, float, float, float]]


COLOURS = 6
PANEL = (360, 210)
LEFT, RIGHT, BOTTOM = 46, 20, 26


def chart(lines: Sequence[Line], across: Sequence[float], upward: Axis, told: str) -> str:
    """Lines over `across`, whose values are placed evenly and named below; a band where least and most differ."""
    width, height = PANEL
    room = (width - LEFT - EDGE - RIGHT) / max(1, len(across) - 1)
    x = {
        value: round(LEFT + EDGE + (room * at if len(across) > 1 else (width - LEFT) / 2), 2)
        for at, value in enumerate(across)
    }

    def y(value: float) -> float:
        return round(height - BOTTOM - (upward.at(value) - upward.start), 2)

    marks = []
    for tick in upward.ticks:
        marks.append(f'<path class="grid" d="M{LEFT} {y(tick):g}H{width}"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:g}" text-anchor="end">{in_digits(1e3 * tick)}</text>')
    every = math.ceil(len(across) / 6)
    marks += [
        f'<text x="{x[value]:g}" y="{height - 8}" text-anchor="middle">{value:,g}</text>' for value in across[::every]
    ]
    for line in lines:
        tone, points = f"line-{line.place % COLOURS}", sorted(line.points)
        if any(low < high for _, low, _, high in points):
            around = [f"{x[at]:g} {y(low):g}" for at, low, _, _ in points]
            around += [f"{x[at]:g} {y(high):g}" for at, _, _, high in reversed(points)]
            marks.append(f'<path class="band {tone}" d="M{"L".join(around)}Z"/>')
        marks.append(f'<path class="{tone}" d="M{"L".join(f"{x[at]:g} {y(mid):g}" for at, _, mid, _ in points)}"/>')
        for at, _, mid, _ in points:
            label = escape(cleaned(f"{line.name}, {at:,g}: {in_digits(1e3 * mid)} ms"))
            marks.append(
                f'<circle class="{tone}" cx="{x[at]:g}" cy="{y(mid):g}" r="3.5"><title>{label}</title></circle>'
            )
    return svg(width, height, marks, told, "chart", wide=True)


def upward_axis(values: Iterable[float]) -> Axis:
    """The upright axis of charts that stand beside each other."""
    return Axis.over(values, width=PANEL[1] - BOTTOM - EDGE + EDGE, start=EDGE)


def history(values: Sequence[float | None], changed: Container[int], told: Sequence[str], least: float = 0) -> str:
    """A line from the first version on the left to the last, broken where one has no value, and bars where it changed.

    `told` is what to say of each version. What moves by less than `least`, as a share, does not fill the height.
    """
    known = [each for each in values if each is not None]
    middle, step = (min(known) + max(known)) / 2, (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    span = max(max(known) - min(known), 10 * least * abs(middle)) or 1.0
    marks, path, joined = list[str](), "", False
    for place, value in enumerate(values):
        if value is not None:
            x, y = EDGE + step * place, STRIP / 2 - (STRIP - 2 * EDGE) * (value - middle) / span
            path += f"{'L' if joined else 'M'}{x:.2f} {y:.2f}"
            size, label = 4 if place in changed else 2.5, escape(cleaned(told[place]))
            marks += [f'<path class="change" d="M{x:.2f} 0V{STRIP}"/>'] * (place in changed)
            marks.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{size}"><title>{label}</title></circle>')
        joined = value is not None
    return svg(WIDTH, STRIP, [f'<path d="{path}"/>', *marks], f"{told[0]} to {told[-1]}", "history")
