#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_compare BUILD -- tests tools/compare with the real quire and scripted peers."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
MODEL = ROOT / "tests" / "data" / "llama-tiny.q8_0.gguf"
SHORT = ROOT / "tests" / "data" / "architectures" / "llama3.gguf"  # a context of 256
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tools" / "peers")]

import bfloat16  # noqa: E402
import table  # noqa: E402
import worker  # noqa: E402
from process import Failed, Peer  # noqa: E402
from rows import ROWS, Row, Shape, Times, figure  # noqa: E402

LOADER = importlib.machinery.SourceFileLoader("compare", str(ROOT / "tools" / "compare"))
COMPARE = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", LOADER))
LOADER.exec_module(COMPARE)


def compare(*arguments, model=MODEL, **fakes):
    command = [str(ROOT / "tools" / "compare"), "--quire", str(BUILD / "quire"), "--model",
               str(model), "--threads", "1", "--rounds", "1", "--python",
               str(ROOT / "tests" / "tools" / "fake_peer.py"), *arguments]
    environment = {f"FAKE_{name.upper()}": plan for name, plan in fakes.items()}
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False,
                          env=os.environ | environment)


class Runs(unittest.TestCase):
    def test_failures_are_named_and_others_continue(self):
        """Goal: a peer that dies at its start changes no figure of the others.
        Method: one of three peers cannot start; check its reason and all figures."""
        done = compare("--peers", "openvino,llama,vllm", "--rows", "decode_1,start", "--json",
                       vllm="start=die")
        report = json.loads(done.stdout)
        failed = {(f["peer"], f["row"]): f["why"] for f in report["failures"]}
        self.assertEqual(done.returncode, 1)
        self.assertEqual(failed, {("vllm", None): "it ended: last words"})
        for key in ("decode_1", "start"):
            row = report["rows"][key]
            self.assertEqual([len(row[n]) for n in ("quire", "openvino", "llama", "vllm")],
                             [1, 1, 1, 0])
            self.assertEqual(row["core_to_core_ns"], [0.0])  # one thread has no neighbour
        self.assertEqual(report["limits"]["core_to_core_ns"], {"least": 0.0, "most": 0.0})

    def test_a_failed_row_is_only_that_row(self):
        """Goal: an error in a row is reported with its reason, and the peer continues.
        Method: a row that raises, one with too few tokens, one in which the process dies."""
        done = compare("--peers", "openvino,llama,vllm", "--rows", "decode_8,decode_1,prefill_1",
                       "--json", openvino="8=raise", llama="8=short", vllm="8=die")
        report = json.loads(done.stdout)
        failed = {(f["peer"], f["row"]): f["why"] for f in report["failures"]}
        self.assertEqual(failed.pop(("openvino", "decode_8")), "RuntimeError: raised by the test")
        self.assertIn("expected 64 each", failed.pop(("llama", "decode_8")))
        self.assertEqual(failed.pop(("vllm", None)), "it ended: last words")
        self.assertEqual(failed, {})
        rows = report["rows"]
        self.assertEqual([len(rows["decode_8"][n]) for n in ("openvino", "llama")], [0, 0])
        self.assertEqual([len(rows["prefill_1x512"][n]) for n in ("openvino", "llama", "vllm")],
                         [1, 1, 0])

    def test_the_first_run_does_not_count(self):
        """Goal: quire's first run of a row and its share do not count; the median of the others does.
        Method: rows as `quire bench --json` prints them; then the number of runs of three rows."""
        rate = {"unit": "tok/s", "values": [50.0, 40.0], "best": 50.0, "share": 0.5, "bound_by": "x"}
        time = {"unit": "s", "values": [4.0, 5.0], "best": 4.0, "share": 0.5, "bound_by": "x"}
        self.assertEqual(COMPARE.turn_of(rate), (40.0, 0.4, "x"))
        self.assertEqual(COMPARE.turn_of(time), (5.0, 0.4, "x"))
        rate["values"] = [50.0, 10.0, 30.0, 20.0]
        self.assertEqual(COMPARE.turn_of(rate), (20.0, 0.2, "x"))
        self.assertEqual(COMPARE.turn_of({"unit": "s", "values": [1.0], "best": 1.0}), (1.0, None, ""))
        options = types.SimpleNamespace(quire=str(BUILD / "quire"), model=str(MODEL), threads=1)
        for key, runs_n in (("decode_1", 6), ("decode_32", 2), ("start", 1)):
            row, _ = COMPARE.measure_quire(options, next(r for r in ROWS if r.key == key))
            self.assertEqual(len(row["values"]), runs_n)

    def test_a_round_is_the_median_of_its_runs(self):
        """Goal: a peer runs a short row as often as quire, and the median counts.
        Method: a peer with a different time for each run."""
        row = next(r for r in ROWS if r.key == "prefill_1x512")
        times = iter([5.0, 1.0, 4.0, 2.0, 3.0])
        peer = types.SimpleNamespace(ask=lambda what, row: next(times), alive=lambda: True)
        sitting = COMPARE.Sitting(None, ["llama"])
        sitting.there["llama"] = peer
        self.assertEqual(sitting.measure("llama", row), 3.0)
        self.assertIsNone(next(times, None))

    def test_the_text_has_table_and_reasons(self):
        """Goal: the text has figures, ratios, and the reason of an empty cell.
        Method: one peer fails a row, and another row does not fit the model's context."""
        done = compare("--peers", "openvino,llama", "--rows", "decode_8,prefill_1x512",
                       model=SHORT, llama="8=raise")
        lines = done.stdout.splitlines()
        row = next(line for line in lines if line.startswith("decode, 8 sequences"))
        self.assertRegex(row, r"tok/s +[0-9,.]+ .* [0-9.]+x? +\[1\]$")
        self.assertIn("[1] llama, decode, 8 sequences: RuntimeError: raised by the test", lines)
        self.assertTrue(lines[-1].startswith("prefill, 1 x 512: left out"))
        limits = next(line for line in lines if line.startswith("limits: "))
        self.assertRegex(limits, r"GB/s, core to core none$")

    def test_a_peer_that_does_not_sleep_is_named(self):
        """Goal: a peer that uses the CPU while quire is measured is named.
        Method: one of two peers spins."""
        done = compare("--peers", "openvino,llama", "--rows", "decode_1,start", "--json",
                       llama="busy")
        self.assertEqual(list(json.loads(done.stdout)["not_asleep"]), ["llama"])
        self.assertEqual(done.returncode, 0)

    def test_wrong_arguments_are_named(self):
        """Goal: an unknown row and a file that is not a model are errors.
        Method: a known and an unknown row; a file with a tokenizer only."""
        done = compare("--peers", "llama", "--rows", "decode_1,prefil_1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such row: prefil_1;", done.stderr)
        done = compare("--peers", "llama", model=MODEL.with_name("gpt2-tiny-tokenizer.gguf"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^compare: .*it is no model\n$")


class Parts(unittest.TestCase):
    def test_a_cut_answer_is_an_end(self):
        """Goal: a peer that dies during an answer has failed, with its last line of output as reason.
        Method: a peer that writes half an answer, and an error that is not UTF-8."""
        with tempfile.TemporaryDirectory() as folder:
            python = pathlib.Path(folder) / "python"
            python.write_text("#!/bin/sh\nread line\nprintf '{\"val'\nprintf 'killed \\377\\n' >&2\n")
            python.chmod(0o700)
            options = types.SimpleNamespace(model="m", cache="c", vocab=1, context=1, threads=1,
                                            batched_tokens=1, timeout=20)
            peer = Peer("llama", str(python), options)
            with self.assertRaisesRegex(Failed, "it ended: killed \ufffd$"):
                peer.ask("version")
            self.assertFalse(peer.alive())

    def test_figures_have_one_definition(self):
        """Goal: wall, prefill and decode are defined as in tools/quire/bench.h.
        Method: figures of one batch, worked out by hand."""
        times = Times(2.0, 10.0, 24)
        for key, expected in (("wall_x", 10.0), ("prefill_x", 4 * 5 / 2.0), ("decode_4", 3.0)):
            self.assertEqual(figure(Row(key, "", "", Shape(4, 5, 7), ()), times), expected)

    def test_rows_are_those_of_quire_bench(self):
        """Goal: a row is the same work for quire and for peers.
        Method: the numbers in each key equal those of its shape."""
        for row in ROWS:
            numbers = [int(n) for n in row.key.replace("x", "_").split("_") if n.isdigit()]
            shape = row.shape
            if row.key.startswith("decode"):
                self.assertEqual(numbers, [shape.sequences] + [shape.prefix] * bool(shape.prefix))
            elif row.key.startswith("prefill"):
                self.assertEqual(numbers + [1], [shape.sequences, shape.prompt, shape.generate])
            elif row.key.startswith("wall"):
                self.assertEqual(numbers, [shape.sequences, shape.prompt, shape.generate])

    def test_prompts_share_their_prefix_and_no_more(self):
        """Goal: lengths are exact, prefixes equal, and the other tokens different and not special.
        Method: the prompts of a row with a prefix, and of the next batch."""
        source = random.Random(1)
        first, second = (worker.prompts_of(Shape(4, 40, 1, 32), 1600, source) for _ in range(2))
        self.assertEqual({len(p) for p in first}, {40})
        self.assertEqual(len({tuple(p[:32]) for p in first}), 1)
        self.assertEqual(len({tuple(p[32:]) for p in first}), 4)
        self.assertNotEqual(first[0][:32], second[0][:32])
        self.assertTrue(all(100 <= token < 1500 for p in first + second for token in p))

    def test_the_ratio_is_above_1_if_quire_is_faster(self):
        """Goal: seconds and rates have the same direction.
        Method: half the time, twice the rate, and a time of 0."""
        self.assertEqual(table.ratio([1, 2, 3], [4, 4, 4], "s"), "2.00x")
        self.assertEqual(table.ratio([10, 20, 30], [10, 10, 10], "tok/s"), "2.00x")
        self.assertEqual(table.ratio([0.0], [10], "s"), "")  # too short to time

    def test_a_cell_has_median_and_range(self):
        """Goal: a cell shows the median and the range.
        Method: three rounds, and one."""
        self.assertEqual(table.spread([1500, 1400, 1600], "tok/s"), "1,500 (1,400-1,600)")
        self.assertEqual(table.spread([0.06], "s"), "0.06")

    def test_limits_are_of_the_whole_sitting(self):
        """Goal: the report has the best of each limit, and the range of the core distance.
        Method: three runs with near, unknown and far cores; one run without a distance."""
        runs = [{"int8_ops": ops, "core_to_core_ns": {"least": least, "most": most}}
                for ops, least, most in ((3.0, 45.4, 46.0), (5.0, 0.0, 0.0), (4.0, 44.6, 249.7))]
        best = table.best_limits(runs)
        self.assertEqual(best, {"int8_ops": 5.0, "core_to_core_ns": {"least": 44.6, "most": 249.7}})
        self.assertEqual(table.distance(best["core_to_core_ns"]), "45-250 ns")
        self.assertEqual(table.distance({"least": 44.6, "most": 45.2}), "45 ns")
        self.assertEqual(table.distance(table.best_limits(runs[1:2])["core_to_core_ns"]), "none")

    def test_unknown_tensors_are_refused(self):
        """Goal: the bfloat16 directory has every weight of the file, or none.
        Method: a known name, and three unknown ones."""
        self.assertEqual(bfloat16.name_of("blk.7.ffn_gate.weight"),
                         "model.layers.7.mlp.gate_proj.weight")
        for name in ("blk.0.attn_q.bias", "blk.0.attn_q_norm.weight", "position_embd.weight"):
            with self.assertRaises(ValueError):
                bfloat16.name_of(name)

    def test_a_llama_becomes_its_directory(self):
        """Goal: the bfloat16 directory has the file's configuration, and rows in Hugging Face's order.
        Method: configurations of four small models, and rows that contain their numbers.  Needs the
        virtual environment that tools/check makes for gguf."""
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
        python = cache / "quire" / "venv-gguf" / "bin" / "python"
        if not python.exists():
            self.skipTest(f"{python} does not exist; tools/check makes it")
        script = """
import json, sys
import bfloat16, gguf, numpy
def config(path):
    reader = gguf.GGUFReader(path)
    try:
        return bfloat16.config_of(reader, {t.name: t for t in reader.tensors})
    except ValueError as error:
        return str(error)
rows = numpy.repeat(numpy.arange(16)[:, None], 3, axis=1)
turns = 8192 * 5e5 ** (-numpy.arange(0, 64, 2) / 64) / (2 * numpy.pi)
smooth = numpy.clip((turns - 1) / 3, 0, 1)
rope = bfloat16.rope_of(5e5, 64, 1 / ((1 - smooth) / 32 + smooth))
print(json.dumps([bfloat16.halves(rows, 2)[:, 0].tolist(), rope] + [config(p) for p in sys.argv[1:]]))
"""
        done = subprocess.run(
            [str(python), "-c", script, str(MODEL), str(SHORT), str(SHORT.with_name("qwen2.gguf")),
             str(SHORT.with_name("llama-linear.gguf"))], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "tools" / "peers")})
        order, rope, plain, scaled, other, linear = json.loads(done.stdout)
        # GGUF's rows 0 1 2 3 of a head are Hugging Face's 0, half, 1, half + 1.
        self.assertEqual(order, [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15])
        self.assertEqual([plain[k] for k in ("num_attention_heads", "num_key_value_heads",
                                             "head_dim", "vocab_size", "tie_word_embeddings")],
                         [8, 2, 32, 1024, True])
        self.assertEqual(plain["rope_parameters"]["rope_type"], "default")
        self.assertIn("Llama 3's rule", scaled)  # its original context is not 8,192
        self.assertEqual(rope, {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0,
                                "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                "original_max_position_embeddings": 8192})
        self.assertIn("architecture qwen2", other)
        self.assertIn("rope scaling", linear)


if __name__ == "__main__":
    unittest.main()
