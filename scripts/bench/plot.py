"""A plot with logarithmic axes, as SVG."""

import math
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 460, 300, 64, 44, 32, 48
COLOURS = ["#0b5fa5", "#c2410c"]


def svg(panels):
    """Panels in two columns; each a title, the names of both axes, and series of (name, [(x, y), ...])."""
    rows = (len(panels) + 1) // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{rows * HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({number % 2 * WIDTH} {number // 2 * HEIGHT})">')
        parts += panel_parts(*panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def panel_parts(title, x_name, y_name, series):
    # A logarithmic axis has no zero.
    series = [(name, [(x, y) for x, y in line if x > 0 and y > 0]) for name, line in series]
    points = [point for _, line in series for point in line]
    x_from, x_to = decades([x for x, _ in points])
    y_from, y_to = decades([y for _, y in points])

    def x_at(x):
        return LEFT + (math.log10(x) - x_from) / (x_to - x_from) * (WIDTH - LEFT - RIGHT)

    def y_at(y):
        return HEIGHT - BOTTOM - (math.log10(y) - y_from) / (y_to - y_from) * (HEIGHT - TOP - BOTTOM)

    yield text(LEFT, 18, title, "start", 'font-weight="bold"')
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_name)
    yield text(LEFT, 34, y_name, "start")
    for decade in range(x_from, x_to + 1):
        x = x_at(10.0**decade)
        yield rule(x, TOP, x, HEIGHT - BOTTOM)
        yield text(x, HEIGHT - BOTTOM + 16, label(decade))
    for decade in range(y_from, y_to + 1):
        y = y_at(10.0**decade)
        yield rule(LEFT, y, WIDTH - RIGHT, y)
        yield text(LEFT - 6, y + 4, label(decade), "end")
    for (name, line), colour in zip(series, COLOURS):
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in line)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in line:
            yield f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3.5" fill="{colour}"/>'
        if name and line:
            x, y = line[-1]
            yield text(x_at(x) - 8, y_at(y) - 8, name, "end", f'fill="{colour}"')


def decades(values):
    values = values or [1]
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return low, max(high, low + 1)


def label(decade):
    return f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:.{-decade}f}"


def rule(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def text(x, y, content, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(content)}</text>'
