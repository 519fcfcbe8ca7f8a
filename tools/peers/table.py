# SPDX-License-Identifier: MIT
"""table -- medians and ranges of quire and each peer, their ratio, and the limits.

`results` is key -> {"quire": [...], "share": [...], "bound": "int8", "core_to_core_ns": [...],
NAME: [...], ...}, a value a round.  `failures` is (NAME, key or None) -> reason: a peer that failed,
or a row of it.  A failed cell has a number, and the reason is printed below the table.
"""
import statistics


def number(value, unit):
    if unit == "s":
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values, unit):
    text = number(statistics.median(values), unit)
    if len(values) > 1:
        text += f" ({number(min(values), unit)}-{number(max(values), unit)})"
    return text


def ratio(ours, theirs, unit):
    above, below = statistics.median(ours), statistics.median(theirs)
    if unit == "s":
        above, below = below, above
    return f"{above / below:.2f}x" if below else ""


def best_limits(runs):
    """The best of each limit over several runs of `quire bench --json`; the core distance's range."""
    best = {key: max(run[key] for run in runs) for key in runs[0] if key != "core_to_core_ns"}
    ends = [run["core_to_core_ns"] for run in runs if run["core_to_core_ns"]["most"] > 0]
    best["core_to_core_ns"] = {"least": min((end["least"] for end in ends), default=0.0),
                               "most": max((end["most"] for end in ends), default=0.0)}
    return best


def distance(ends):
    """The core distance, written as by `quire bench`."""
    if not ends["most"]:
        return "none"
    least, most = f"{ends['least']:.0f}", f"{ends['most']:.0f}"
    return f"{least} ns" if least == most else f"{least}-{most} ns"


def cells(rows, names, results, failures):
    """The table as lists of texts, beginning with its head."""
    marks = {place: f"[{i}]" for i, place in enumerate(failures, 1)}
    lines = [["work", "quire", "share"] + [text for name in names for text in (name, "ratio")]]
    for row in rows:
        result = results[row.key]
        if not result["quire"]:
            continue
        share = statistics.median(result["share"]) if result["share"] else 0
        line = [f"{row.title}, {row.unit}", spread(result["quire"], row.unit),
                f"{share:.0%} of {result['bound']}" if share else ""]
        for name in names:
            if result[name]:
                line += [spread(result[name], row.unit),
                         ratio(result["quire"], result[name], row.unit)]
            else:
                line += [marks.get((name, row.key), marks.get((name, None), "")), ""]
        lines.append(line)
    return lines


def text(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.rjust(width) if i else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines)


def markdown(lines):
    head, *rest = lines
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in (head, ["---"] * len(head), *rest))


def reasons(rows, failures):
    """One line for each failure, with the number of its cells."""
    titles = {row.key: row.title for row in rows}
    return [f"[{i}] {name}{', ' + titles[key] if key else ''}: {why}"
            for i, ((name, key), why) in enumerate(failures.items(), 1)]
