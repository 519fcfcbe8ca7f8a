# SPDX-License-Identifier: MIT
"""process -- runs a peer's worker, sends it commands, and measures its CPU time."""
import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile

WORKER = pathlib.Path(__file__).with_name("worker.py")
TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A peer or one of its rows failed; carries the reason."""


class Peer:
    """A worker and the processes that it starts, in a session of their own."""

    def __init__(self, name, python, options):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        self.timeout_s = options.timeout
        self.process = subprocess.Popen(
            [python, str(WORKER), name, "--model", os.path.abspath(options.model), "--cache",
             str(options.cache), "--vocab", str(options.vocab), "--context", str(options.context),
             "--threads", str(options.threads), "--batched-tokens", str(options.batched_tokens)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            start_new_session=True)

    def ask(self, what, **more):
        """Returns the answer.  Raises Failed without one; alive() then says whether to ask again."""
        line = b""
        try:
            self.process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
            self.process.stdin.flush()
            if select.select([self.process.stdout], [], [], self.timeout_s)[0]:
                line = self.process.stdout.readline()
            else:
                self.stop()
                raise Failed(f"no answer within {self.timeout_s} s")
        except (BrokenPipeError, ValueError):
            pass  # the worker has ended; last_words() has the reason
        if not line.endswith(b"\n"):  # no answer, or an incomplete one
            self.stop()
            raise Failed(f"it ended: {self.last_words()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(reply["error"])
        return reply["value"]

    def alive(self):
        return self.process.poll() is None

    def last_words(self):
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["no output"])[-1]

    def cpu_s(self):
        """CPU time of the session's running processes."""
        ticks = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:  # the process ended meanwhile
                continue
            if int(fields[3]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def stop(self):
        if self.alive():
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # processes that it started
        except ProcessLookupError:
            pass
        self.process.wait()
