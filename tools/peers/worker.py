# SPDX-License-Identifier: MIT
"""worker -- runs one peer, in a process inside its virtual environment.

Reads commands as JSON lines from stdin and answers each with {"value": ...} or {"error": "why"}.
Libraries print to stdout, so their output is sent to stderr.
"""
import argparse
import importlib
import json
import os
import random
import sys
import time

from rows import ROWS, Shape, figure

PEERS = {"openvino": ("openvino_peer", "OpenVino"), "llama": ("llama_peer", "Llama"),
         "vllm": ("vllm_peer", "Vllm")}


def prompts_of(shape, vocab, random_source):
    """Draws ids from the middle of the vocabulary, which has no special tokens."""
    low, high = vocab // 16, vocab - vocab // 16

    def ids(n):
        return [random_source.randrange(low, high) for _ in range(n)]

    prefix = ids(shape.prefix)
    return [prefix + ids(shape.prompt - shape.prefix) for _ in range(shape.sequences)]


def run(peer, prompts, shape):
    """The batch's outputs and times.  Raises an error if tokens are missing."""
    outputs, times = peer.batch(prompts, shape)
    counts = [len(output) for output in outputs]
    if counts != [shape.generate] * shape.sequences:
        raise RuntimeError(f"{counts} tokens were generated; expected {shape.generate} each")
    return outputs, times


def answer(peer, command, options, random_source):
    what = command["do"]
    if what == "version":
        return peer.version()
    if what == "start":
        if hasattr(peer, "prepare"):
            peer.prepare()
        began = time.perf_counter()
        peer.start()
        return time.perf_counter() - began
    if what == "continue":  # one given prompt
        shape = Shape(1, len(command["prompt"]), command["generate"])
        return run(peer, [command["prompt"]], shape)[0][0]
    row = next(r for r in ROWS if r.key == command["row"])
    prompts = prompts_of(row.shape, options.vocab, random_source)
    return figure(row, run(peer, prompts, row.shape)[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--model", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--vocab", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batched-tokens", type=int, required=True)
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, name = PEERS[options.peer]
    peer = getattr(importlib.import_module(module), name)(options)
    random_source = random.Random(1)
    for line in sys.stdin:
        try:
            reply = {"value": answer(peer, json.loads(line), options, random_source)}
        except Exception as error:  # any error of a runtime ends this row only
            reply = {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0]}
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":  # vLLM's processes import this file again
    main()
