# SPDX-License-Identifier: MIT
"""llama.cpp through llama-cpp-python's low-level interface, as llama-batched-bench uses it.

Each batch has its own context, made before the clock starts, with cells for exactly its sequences
and tokens.  Each sequence has its own cache, as llama.cpp's header advises.  Sequences with a shared
prefix share one cache (llama-batched-bench -pps).  Flash attention, batch sizes and the cache's type
are llama.cpp's defaults; version() states them.
"""
import time

from rows import Times


class Llama:
    def __init__(self, options):
        self.options = options
        self.model = None

    def version(self):
        import llama_cpp

        self.log = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(self.log, None)
        llama_cpp.llama_backend_init()
        defaults = llama_cpp.llama_context_default_params()
        attention = {-1: "by itself", 0: "off", 1: "on"}[defaults.flash_attn_type]
        return (f"llama-cpp-python {llama_cpp.__version__}, the GGUF's weights, batches of "
                f"{defaults.n_batch} in pieces of {defaults.n_ubatch}, flash attention {attention}")

    def start(self):
        import llama_cpp

        self.model = llama_cpp.llama_model_load_from_file(
            self.options.model.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError("llama.cpp does not load the file")
        self.vocab_n = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        llama_cpp.llama_free(self.open(1, 512, False))  # requests are taken from here on

    def open(self, sequences, cells, unified):
        import llama_cpp

        params = llama_cpp.llama_context_default_params()
        params.n_ctx = cells
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = self.options.threads
        params.kv_unified = unified
        context = llama_cpp.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError(f"llama.cpp makes no context of {cells} cells")
        return context

    def decode(self, context, rows):
        """The best token of each row that wants logits.  rows: (token, position, sequence, wants)."""
        import llama_cpp
        import numpy as np

        best = []
        piece = llama_cpp.llama_n_batch(context)
        for at in range(0, len(rows), piece):
            part = rows[at : at + piece]
            batch = llama_cpp.llama_batch_init(len(part), 0, 1)
            batch.n_tokens = len(part)
            for i, (token, position, sequence, wants) in enumerate(part):
                batch.token[i] = token
                batch.pos[i] = position
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = sequence
                batch.logits[i] = wants
            status = llama_cpp.llama_decode(context, batch)
            if status:
                raise RuntimeError(f"llama_decode ended with {status}")
            for i, row in enumerate(part):
                if row[3]:
                    logits = llama_cpp.llama_get_logits_ith(context, i)
                    best.append(int(np.ctypeslib.as_array(logits, (self.vocab_n,)).argmax()))
            llama_cpp.llama_batch_free(batch)
        return best

    def batch(self, prompts, shape):
        import llama_cpp

        own = shape.prompt - shape.prefix + shape.generate
        each = -(-(shape.prefix + own) // 256) * 256  # llama.cpp rounds a sequence's cells up to this
        cells = shape.prefix + shape.sequences * own if shape.prefix else shape.sequences * each
        context = self.open(shape.sequences, cells, bool(shape.prefix))
        try:
            return self.run(context, prompts, shape)
        finally:
            llama_cpp.llama_free(context)

    def run(self, context, prompts, shape):
        import llama_cpp

        began = time.perf_counter()
        if shape.prefix:
            self.decode(context, [(token, k, 0, False)
                                  for k, token in enumerate(prompts[0][: shape.prefix])])
            memory = llama_cpp.llama_get_memory(context)
            for i in range(1, shape.sequences):
                llama_cpp.llama_memory_seq_cp(memory, 0, i, -1, -1)
        last = shape.prompt - 1
        best = self.decode(context, [(p[k], k, i, k == last) for i, p in enumerate(prompts)
                                     for k in range(shape.prefix, shape.prompt)])
        first = time.perf_counter() - began
        outputs = [[token] for token in best]
        for step in range(1, shape.generate):
            best = self.decode(context, [(token, last + step, i, True)
                                         for i, token in enumerate(best)])
            for output, token in zip(outputs, best):
                output.append(token)
        return outputs, Times(first, time.perf_counter() - began,
                              shape.sequences * (shape.generate - 1))
