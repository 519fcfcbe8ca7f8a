# SPDX-License-Identifier: MIT
"""Writes tests/data/types: the answers of transformers in float32 for a small Llama of each type of
weights, with the weights that PyPI's gguf dequantises from the file.

    make_types.py build/tests/test_model_types OUT_DIR

The model files are not in the tree.  The test makes them from a seed, and writes them to a folder
for this script when QUIRE_TYPES=FOLDER is set.  A checksum of the file is stored with its answers, so
that the test can tell that they belong together.  Blocks are random bytes with usual scales: PyPI's
gguf quantises to few types only, and a quantiser would not use every code of each type.  The script
needs PyPI's gguf, torch and transformers; the answers were made with gguf 0.17.1, torch 1.13 and
transformers 4.47.1."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers as tf

from answers import from_file, gguf_name, save_answers

PROMPTS = (1, 40)


def checksum(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def config_of(reader):
    def value(name):
        return reader.fields["llama." + name].contents()

    return tf.LlamaConfig(
        vocab_size=value("vocab_size"), hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"), rope_theta=value("rope.freq_base"),
        max_position_embeddings=value("context_length"), attn_implementation="eager",
        tie_word_embeddings=all(t.name != "output.weight" for t in reader.tensors))


def load(path):
    reader = gguf.GGUFReader(path)
    config = config_of(reader)
    model = tf.AutoModelForCausalLM.from_config(config).float().eval()
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    state = {}
    for key in model.state_dict():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        plain = from_file(key, tensors.pop(gguf_name(key, "llama")), config)
        state[key] = torch.from_numpy(np.array(plain, np.float32))
    assert not tensors, tensors.keys()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def main():
    program, out = sys.argv[1], Path(sys.argv[2])
    rng = np.random.default_rng(6)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program], env=dict(os.environ, QUIRE_TYPES=folder), check=True)
        for path in sorted(Path(folder).glob("*.gguf")):
            model = load(path)
            prompts = [[int(i) for i in rng.integers(0, model.config.vocab_size, n)] for n in PROMPTS]
            save_answers(out / f"{path.stem}.json", model, prompts,
                         file_fnv1a=checksum(path.read_bytes()))


main()
