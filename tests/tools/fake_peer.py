#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replaces a virtual environment's Python (compare --python).  The worker is the real one, with a fake
runtime.  FAKE_<NAME> lists its faults, separated by commas:

  N=raise     a row of N sequences raises an error
  N=die       a row of N sequences ends the process
  N=short     a row of N sequences generates one token too few
  start=die   the process ends while it opens the model
  busy        the process uses the CPU while it is idle
"""
import os
import sys
import threading
import time

script, name = sys.argv[1:3]
sys.path.insert(0, os.path.dirname(script))
import rows  # noqa: E402
import worker  # noqa: E402


def spin():
    while True:
        pass


class Fake:
    def __init__(self, options):
        words = os.environ.get(f"FAKE_{name.upper()}", "").split(",")
        self.plan = dict(word.partition("=")[::2] for word in words if word)

    def version(self):
        if "busy" in self.plan:
            threading.Thread(target=spin, daemon=True).start()
        return f"fake {name}"

    def start(self):
        self.obey("start")

    def obey(self, key):
        if self.plan.get(key) == "raise":
            raise RuntimeError("raised by the test")
        if self.plan.get(key) == "die":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)

    def batch(self, prompts, shape):
        key = str(shape.sequences)
        print("libraries print where they like")
        self.obey(key)
        began = time.perf_counter()
        time.sleep(0.01)
        first = time.perf_counter() - began
        time.sleep(0.02)
        count = shape.generate - (self.plan.get(key) == "short")
        return ([[0] * count for _ in prompts],
                rows.Times(first, time.perf_counter() - began, shape.sequences * (count - 1)))


sys.modules["fake"] = sys.modules["__main__"]
worker.PEERS[name] = ("fake", "Fake")
sys.argv = sys.argv[1:]
worker.main()
