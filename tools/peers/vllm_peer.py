# SPDX-License-Identifier: MIT
"""vLLM on CPUs: the offline `LLM`, over the same weights in bfloat16.

vLLM does not read quantised GGUF on a CPU.  So bfloat16.py makes a directory from the file, and vLLM
reads two to four times as many bytes.  Its defaults are kept: compiled by torch, prefix caching, the
engine in processes of its own.
"""
import os
import pathlib
import time

import bfloat16
from rows import SEQUENCES_MAX, Times


def cores():
    """The CPUs that this process may use, one of each physical core first."""
    def siblings(cpu):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        return path.read_text() if path.exists() else str(cpu)

    seen, first, second = set(), [], []
    for cpu in sorted(os.sched_getaffinity(0)):
        (second if siblings(cpu) in seen else first).append(cpu)
        seen.add(siblings(cpu))
    return first + second


class Vllm:
    def __init__(self, options):
        self.options = options
        self.serial = 0
        os.environ.update({
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores()[: options.threads])),
            "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB, as OpenVINO has
            "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
        })

    def version(self):
        import vllm

        return f"vLLM {vllm.__version__} on CPU, the same weights in bfloat16"

    def prepare(self):
        self.folder = bfloat16.directory(self.options.model, self.options.cache)

    def start(self):
        import vllm

        self.llm = vllm.LLM(
            model=str(self.folder), skip_tokenizer_init=True, dtype="bfloat16",
            max_model_len=self.options.context, max_num_seqs=SEQUENCES_MAX,
            max_num_batched_tokens=self.options.batched_tokens, disable_log_stats=True)

    def batch(self, prompts, shape):
        if shape.prefix:  # vLLM looks all prompts up before it computes any: fill the cache first
            self.run([prompts[0][: shape.prefix]], 1)
        return self.run(prompts, shape.generate)

    def run(self, prompts, generate):
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(temperature=0, max_tokens=generate, ignore_eos=True,
                                detokenize=False, output_kind=RequestOutputKind.DELTA)
        engine = self.llm.llm_engine
        outputs = {}
        began = time.perf_counter()
        for prompt in prompts:
            self.serial += 1
            outputs[str(self.serial)] = []
            engine.add_request(str(self.serial), {"prompt_token_ids": prompt}, params)
        first = after = None
        while engine.has_unfinished_requests():
            for part in engine.step():
                outputs[part.request_id] += part.outputs[0].token_ids
            now = time.perf_counter() - began
            if first is None and all(outputs.values()):
                first, after = now, sum(map(len, outputs.values()))
        return list(outputs.values()), Times(first, now, sum(map(len, outputs.values())) - after)
