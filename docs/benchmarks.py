#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws docs/benchmarks.json as bars, in SVG:

    python3 docs/benchmarks.py > docs/benchmarks.svg

A bar's length is the rate as a share of the row's limit.  "share" is quire's, so the limit is
quire's rate divided by it.  A peer that was not measured has no bar."""
import html
import json
import pathlib

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 840, 200, 110, 92, 15, 20
COLOURS = ["#1f6feb", "#8b949e", "#d29922"]
INK, FAINT = "#1f2328", "#59636e"


def text(x, y, what, size=13, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{html.escape(what)}</text>')


def main():
    figures = json.loads((pathlib.Path(__file__).parent / "benchmarks.json").read_text())
    peers, rows = figures["peers"], figures["rows"]
    span = WIDTH - LEFT - RIGHT
    out, y = [], TOP
    for row in rows:
        out.append(text(LEFT - 14, y + 1.2 * BAR, row["work"], anchor="end", weight="600"))
        out.append(text(LEFT - 14, y + 2.3 * BAR, f'limit: {row["limit"]}', 11, FAINT, "end"))
        for i, rate in enumerate(row["rates"]):
            top = y + i * BAR
            if rate is None:
                out.append(text(LEFT + 6, top + BAR - 4, "not measured", 11, FAINT))
                continue
            length = span * row["share"] * rate / row["rates"][0]
            out.append(f'<rect x="{LEFT}" y="{top:.1f}" width="{length:.1f}" height="{BAR - 2}" '
                       f'fill="{COLOURS[i]}"/>')
            out.append(text(LEFT + length + 6, top + BAR - 4, f"{rate:,.0f}", 12))
        limit = row["rates"][0] / row["share"]
        rounded = round(limit, -2 if limit > 999 else -1)
        out.append(text(LEFT + span + 8, y + 1.7 * BAR, f"about {rounded:,.0f}", 12, "#cf222e"))
        y += 3 * BAR + GAP
    out.append(f'<line x1="{LEFT + span}" y1="{TOP - 6}" x2="{LEFT + span}" y2="{y - GAP + 6}" '
               f'stroke="#cf222e" stroke-width="2" stroke-dasharray="5 4"/>')
    out.append(text(LEFT + span, TOP - 14, "the machine's limit", 12, "#cf222e", "middle"))
    out.append(text(20, 30, figures["title"], 16, weight="600"))
    x = 20
    for peer, colour in zip(peers, COLOURS):
        out.append(f'<rect x="{x}" y="46" width="12" height="12" fill="{colour}"/>')
        out.append(text(x + 18, 57, peer))
        x += 44 + 8 * len(peer)
    for line in figures["caption"]:
        out.append(text(20, y + 6, line, 12, FAINT))
        y += 17
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" '
          f'font-family="system-ui, DejaVu Sans, sans-serif">')
    print(f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{y + 5}" rx="8" fill="#ffffff" '
          f'stroke="#d1d9e0"/>')
    print("\n".join(out))
    print("</svg>")


main()
