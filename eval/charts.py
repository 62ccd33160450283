"""Charts as SVG text: bars with intervals per kind, and quality against latency. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#eeca3b")
Figure = tuple[float, float, float]  # mean, low, high


def bars(groups: Sequence[tuple[str, str]], series: Mapping[str, Mapping[str, Figure]]) -> str:
    """Bars in 0..1. `groups`: (key, label) from left to right; `series`: name -> group key -> figure."""
    width_of = 16 * len(series) + 26
    left, top, height = 46, 16, 220
    width = left + width_of * len(groups) + 150  # room for the last label
    out = [_open(width, top + height + 96, "bars")]
    for tick in range(0, 11, 2):
        y = top + height * (1 - tick / 10)
        out.append(f'<line x1="{left}" x2="{width - 140}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick / 10:.1f}</text>')
    for g, (key, label) in enumerate(groups):
        start = left + g * width_of + 10
        for s, name in enumerate(series):
            figure = series[name].get(key)
            if figure is None:
                continue
            mean, low, high = figure
            x, y = start + s * 16, top + height * (1 - mean)
            title = f"{name}, {label}: {mean:.2f} [{low:.2f}, {high:.2f}]"
            out.append(
                f'<rect x="{x}" y="{y:.1f}" width="13" height="{height * mean:.1f}" fill="{_colour(s)}"><title>{escape(title)}</title></rect>'
            )
            a, b = top + height * (1 - high), top + height * (1 - low)
            out.append(
                f'<path d="M{x + 6.5} {a:.1f}V{b:.1f}M{x + 3} {a:.1f}h7M{x + 3} {b:.1f}h7" stroke="#222" fill="none"/>'
            )
        middle = start + 8 * len(series)
        out.append(f'<text transform="translate({middle},{top + height + 14}) rotate(28)">{escape(label)}</text>')
    return "".join(out) + "</svg>" + legend(list(series))


def pareto(points: Mapping[str, tuple[Figure, float]], x_label: str, y_label: str) -> str:
    """Quality (0..1, with interval) against seconds on a logarithmic axis; the arms that no other beats on both are joined."""
    left, top, w, h = 56, 16, 520, 240
    seconds = [max(0.001, s) for _, s in points.values()]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)) + 1e-9)
    high = max(high, low + 1)

    def x(s: float) -> float:
        return left + w * (math.log10(max(0.001, s)) - low) / (high - low)

    def y(q: float) -> float:
        return top + h * (1 - q)

    out = [_open(left + w + 140, top + h + 48, "pareto")]
    for tick in range(0, 11, 2):
        out.append(f'<line x1="{left}" x2="{left + w}" y1="{y(tick / 10):.1f}" y2="{y(tick / 10):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(tick / 10) + 4:.1f}" text-anchor="end">{tick / 10:.1f}</text>')
    for power in range(low, high + 1):
        at = left + w * (power - low) / (high - low)
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + h}" stroke="#eee"/>')
        out.append(f'<text x="{at:.1f}" y="{top + h + 16}" text-anchor="middle">{10**power:g}</text>')
    front = [n for n in points if not _beaten(n, points)]
    path = " ".join(
        f"{x(points[n][1]):.1f},{y(points[n][0][0]):.1f}" for n in sorted(front, key=lambda n: points[n][1])
    )
    out.append(f'<polyline points="{path}" fill="none" stroke="#999" stroke-dasharray="4 3"/>')
    for s, (name, ((mean, lo, hi), second)) in enumerate(points.items()):
        px, py = x(second), y(mean)
        out.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{y(hi):.1f}" y2="{y(lo):.1f}" stroke="{_colour(s)}"/>')
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5" fill="{_colour(s)}"/>')
        out.append(f'<text x="{px + 9:.1f}" y="{py + 4:.1f}">{escape(name)}</text>')
    out.append(f'<text x="{left + w / 2}" y="{top + h + 38}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(
        f'<text transform="translate(14,{top + h / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(out) + "</svg>"


def legend(names: Sequence[str]) -> str:
    """Names with their colours, as HTML."""
    items = "".join(
        f'<span><i style="background:{_colour(n)}"></i>{escape(name)}</span>' for n, name in enumerate(names)
    )
    return f'<p class="legend">{items}</p>'


def _beaten(name: str, points: Mapping[str, tuple[Figure, float]]) -> bool:
    (quality, _, _), second = points[name]
    return any(
        other != name and q >= quality and s <= second and (q > quality or s < second)
        for other, ((q, _, _), s) in points.items()
    )


def _open(width: float, height: float, role: str) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" class="{role}" role="img">'


def _colour(n: int) -> str:
    return COLOURS[n % len(COLOURS)]
