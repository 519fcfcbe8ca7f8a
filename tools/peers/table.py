# SPDX-License-Identifier: MIT
"""table -- medians and ranges of quire and each peer, how many times quire is ahead, and the limits.

`results` is key -> {"quire": [...], "share": [...], "bound": "int8", "core_to_core_ns": [...],
NAME: [...], ...}, a value a round.  `failures` is (NAME, key or None) -> why: a peer that is not there, or a row that it cannot
do.  What failed has a number in its cell, and the reason below the table.
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


def ahead(ours, theirs, unit):
    above, below = statistics.median(ours), statistics.median(theirs)
    if unit == "s":
        above, below = below, above
    return f"{above / below:.2f}x" if below else ""


def best_limits(runs):
    """Of the limits of several runs of `quire bench --json` the best, and the distance's both ends."""
    best = {key: max(run[key] for run in runs) for key in runs[0] if key != "core_to_core_ns"}
    ends = [run["core_to_core_ns"] for run in runs if run["core_to_core_ns"]["most"] > 0]
    best["core_to_core_ns"] = {"least": min((end["least"] for end in ends), default=0.0),
                               "most": max((end["most"] for end in ends), default=0.0)}
    return best


def distance(ends):
    """As `quire bench` writes it."""
    if not ends["most"]:
        return "none"
    least, most = f"{ends['least']:.0f}", f"{ends['most']:.0f}"
    return f"{least} ns" if least == most else f"{least}-{most} ns"


def cells(rows, names, results, failures):
    """The table as lists of texts, its head first."""
    marks = {place: f"[{i}]" for i, place in enumerate(failures, 1)}
    lines = [["work", "quire", "share"] + [text for name in names for text in (name, "ahead")]]
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
                         ahead(result["quire"], result[name], row.unit)]
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
    """One line a failure, by the numbers in the cells."""
    titles = {row.key: row.title for row in rows}
    return [f"[{i}] {name}{', ' + titles[key] if key else ''}: {why}"
            for i, ((name, key), why) in enumerate(failures.items(), 1)]
