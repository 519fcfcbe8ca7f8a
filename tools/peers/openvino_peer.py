# SPDX-License-Identifier: MIT
"""OpenVINO GenAI: continuous batching with paged attention, which reads the GGUF file itself."""
import time

from rows import Times


class OpenVino:
    def __init__(self, options):
        self.options = options
        self.serial = 0
        self.pipes = {}  # prefix caching on or off -> pipeline

    def version(self):
        import openvino_genai

        return f"OpenVINO GenAI {openvino_genai.__version__}, the GGUF's weights"

    def open(self, prefixes):
        import openvino_genai as genai

        config = genai.SchedulerConfig()
        config.max_num_batched_tokens = self.options.batched_tokens
        config.max_num_seqs = 256
        config.cache_size = 2
        config.enable_prefix_caching = prefixes
        return genai.ContinuousBatchingPipeline(
            self.options.model, config, "CPU", {"INFERENCE_NUM_THREADS": self.options.threads})

    def start(self):
        self.pipes[False] = self.open(False)

    def batch(self, prompts, shape):
        """A pipeline with prefix caching, for a shared prefix only: the lookup costs time elsewhere."""
        prefixes = bool(shape.prefix)
        if prefixes not in self.pipes:
            self.pipes[prefixes] = self.open(prefixes)
        if prefixes:
            self.run(self.pipes[prefixes], [prompts[0][: shape.prefix]], 1)
        return self.run(self.pipes[prefixes], prompts, shape.generate)

    def run(self, pipe, prompts, generate):
        import numpy as np
        import openvino as ov
        import openvino_genai as genai

        config = genai.GenerationConfig()
        config.max_new_tokens = generate
        config.ignore_eos = True
        config.do_sample = False
        tensors = [ov.Tensor(np.array([p], dtype=np.int64)) for p in prompts]
        began = time.perf_counter()
        handles = []
        for tensor in tensors:
            self.serial += 1
            handles.append(pipe.add_request(self.serial, tensor, config))
        outputs = [[] for _ in handles]
        first = after = None
        while pipe.has_non_finished_requests():
            pipe.step()
            for output, handle in zip(outputs, handles):
                while handle.can_read():
                    for part in handle.read().values():
                        output += part.generated_ids
            now = time.perf_counter() - began
            if first is None and all(outputs):
                first, after = now, sum(map(len, outputs))
        return outputs, Times(first, now, sum(map(len, outputs)) - after)
