#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws a program's output as a terminal, in SVG:

    ./tools/quickstart 2>&1 | python3 docs/terminal.py "./tools/quickstart" > docs/quickstart.svg

The text is the program's own.  Home and temporary folders are shortened.  Long lines are folded at
spaces; a folded command has a backslash at the end of each line but the last."""
import html
import os
import re
import sys
import textwrap

COLUMNS, WIDTH, HEIGHT, PAD = 100, 8.43, 19, 14


def lines_of(text):
    """(line, whether it belongs to a command)"""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    text = text.replace(os.path.expanduser("~"), "~")
    text = re.sub(r"/tmp/tmp\.\w+/", "/tmp/", text)
    for line in text.split("\n"):
        line = line.rsplit("\r", 1)[-1].rstrip()
        if len(line) > COLUMNS:  # columns of text need not line up in a line that is too long
            line = re.sub(r"(?<=\S) {3,}", "  ", line)
        command = line.startswith("$ ")
        if command:  # a quoted argument stays whole: textwrap does not fold at U+00A0
            line = re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace(" ", "\u00a0"), line)
        folded = textwrap.wrap(line, COLUMNS - 2 * command, break_on_hyphens=False,
                               subsequent_indent="    ") or [""]
        for i, part in enumerate(folded):
            more = command and i + 1 < len(folded)
            yield part.replace("\u00a0", " ") + " \\" * more, command


def main():
    rows = list(lines_of("$ " + sys.argv[1] + "\n" + sys.stdin.read().rstrip("\n")))
    width, height = COLUMNS * WIDTH + 2 * PAD, len(rows) * HEIGHT + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
          f'font-family="ui-monospace, DejaVu Sans Mono, Menlo, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" rx="8" fill="#14171c"/>')
    for i, (row, command) in enumerate(rows):
        colour = "#7ee787" if command else "#d6dbe2"
        print(f'<text x="{PAD}" y="{PAD + (i + 0.75) * HEIGHT:.1f}" fill="{colour}" '
              f'xml:space="preserve">{html.escape(row)}</text>')
    print("</svg>")


main()
