# SPDX-License-Identifier: MIT
"""rows -- the rows of the comparison, and the figure of each from a batch's times.

Figures have the definitions of `quire bench` (tools/quire/bench.h):
  wall     first submit to last token
  decode   tokens after all sequences have their first one, over the time that they took
  prefill  prompt tokens over the time until all sequences have their first token
  start    time from opening the model until requests are accepted
"""
import typing


class Shape(typing.NamedTuple):
    """Requests submitted together."""

    sequences: int
    prompt: int  # tokens of each prompt, including the prefix
    generate: int
    prefix: int = 0  # tokens of the prefix that all prompts share


class Row(typing.NamedTuple):
    key: str  # as in `quire bench --json`
    title: str
    unit: str
    shape: Shape | None  # None: nothing runs, the model is opened
    bench: tuple  # the value of `quire bench --rows`, and of --batches where it needs one
    # Runs in a round, of which the median counts.  More than one for rows of less than 0.3 s, whose
    # single runs scatter.
    runs: int = 1


ROWS = [
    Row("wall_64x128x64", "64 requests, 128 in, 64 out", "s", Shape(64, 128, 64), ("wall",)),
    Row("decode_1", "decode, 1 sequence", "tok/s", Shape(1, 128, 64), ("decode", "1"), 5),
    Row("decode_8", "decode, 8 sequences", "tok/s", Shape(8, 128, 64), ("decode", "8"), 3),
    Row("decode_32", "decode, 32 sequences", "tok/s", Shape(32, 128, 64), ("decode", "32")),
    Row("decode_64", "decode, 64 sequences", "tok/s", Shape(64, 128, 64), ("decode", "64")),
    Row("decode_16_prefix_1024", "decode, 16 over one prefix of 1,024", "tok/s",
        Shape(16, 1025, 64, 1024), ("prefix",)),
    Row("prefill_1x512", "prefill, 1 x 512", "tok/s", Shape(1, 512, 1), ("prefill_1x512",), 5),
    Row("prefill_32x128", "prefill, 32 x 128", "tok/s", Shape(32, 128, 1), ("prefill_32x128",)),
    Row("start", "start to ready", "s", None, ("start",)),
]

COMMON_N = 64  # tokens that hold the common prompt and its continuation
SEQUENCES_MAX = max(row.shape.sequences for row in ROWS if row.shape)


def tokens_of(row):
    """The length of one of the row's sequences."""
    return row.shape.prompt + row.shape.generate if row.shape else COMMON_N


def chosen(words):
    """The rows that the words name, by key or by prefix of keys.  Without words all rows."""
    keys = {row.key for row in ROWS}
    return [row for row in ROWS if not words or row.key in words
            or any(row.key.startswith(word) for word in words if word not in keys)]


class Times(typing.NamedTuple):
    """Times of one batch, from its first submit."""

    first_s: float  # until all sequences have their first token
    end_s: float
    after_n: int  # tokens that came after first_s


def figure(row, times):
    if row.key.startswith("wall"):
        return times.end_s
    if row.key.startswith("prefill"):
        return row.shape.sequences * row.shape.prompt / times.first_s
    return times.after_n / (times.end_s - times.first_s)
