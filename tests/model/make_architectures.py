# SPDX-License-Identifier: MIT
"""Writes tests/data/architectures: a small model of each kind with random weights, and the answers of
transformers in float32 for the same weights.

    make_architectures.py OUT_DIR [NAME]...

The files are in the tree, so the tests do not need this script.  It needs PyPI's gguf, torch and
transformers.  The files were made with gguf 0.17.1, torch 1.13 and transformers 4.47.1 (in which
YaRN's trained context is max_position_embeddings).

Matrices are Q8_0.  The tests run them as they are and dequantised, so both of quire's paths are
covered.  Names and the order of rows are those of llama.cpp's converter."""
import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers as tf

from answers import from_file, gguf_name, save_answers, to_file

VOCAB, WIDTH, FFN, HEADS, KV_HEADS, LAYERS, CONTEXT = 128, 64, 64, 4, 2, 2, 256
TRAINED = 64  # positions before scaling
PROMPTS = (1, 40, 150)
COMMON = dict(vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=FFN, num_hidden_layers=LAYERS,
              num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, rms_norm_eps=1e-5,
              max_position_embeddings=CONTEXT, attn_implementation="eager")


def scaled(config, **scaling):
    return dict(config, rope_scaling=scaling)


def yarn(config):
    config = dict(config, max_position_embeddings=TRAINED)
    return scaled(config, rope_type="yarn", factor=4.0)


MODELS = {
    "gpt2": lambda: tf.GPT2Config(
        vocab_size=VOCAB, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=192, n_inner=FFN,
        attn_implementation="eager"),
    "llama3": lambda: tf.LlamaConfig(**scaled(
        COMMON, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=TRAINED)),
    "llama-linear": lambda: tf.LlamaConfig(
        head_dim=24, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        **scaled(COMMON, rope_type="linear", factor=4.0)),
    "llama-yarn": lambda: tf.LlamaConfig(**yarn(COMMON)),
    "mistral": lambda: tf.MistralConfig(sliding_window=16, **COMMON),
    "qwen2": lambda: tf.Qwen2Config(tie_word_embeddings=True, rope_theta=1e6, **COMMON),
    "qwen2-yarn-window": lambda: tf.Qwen2Config(
        use_sliding_window=True, sliding_window=24, max_window_layers=0, **yarn(COMMON)),
}


# ---- the file ---------------------------------------------------------------------------------


def llama3_divisors(config):
    s, dim = config.rope_scaling, config.head_dim
    low, high = s["low_freq_factor"], s["high_freq_factor"]
    out = []
    for i in range(0, dim, 2):
        turns = s["original_max_position_embeddings"] * config.rope_theta ** (-i / dim) / (2 * math.pi)
        smooth = min(1, max(0, (turns - low) / (high - low)))
        out.append(1 / ((1 - smooth) / s["factor"] + smooth))
    return np.array(out, np.float32)


def write_keys(w, config):
    if config.model_type == "gpt2":
        w.add_context_length(config.n_positions)
        w.add_feed_forward_length(FFN)
        w.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        scaling = getattr(config, "rope_scaling", None) or {}
        w.add_context_length(CONTEXT)
        w.add_feed_forward_length(FFN)
        w.add_head_count_kv(KV_HEADS)
        w.add_layer_norm_rms_eps(config.rms_norm_eps)
        w.add_rope_freq_base(config.rope_theta)
        if config.model_type != "qwen2":
            w.add_vocab_size(VOCAB)
            w.add_rope_dimension_count(getattr(config, "head_dim", None) or WIDTH // HEADS)
            w.add_key_length(getattr(config, "head_dim", None) or WIDTH // HEADS)
            w.add_value_length(getattr(config, "head_dim", None) or WIDTH // HEADS)
        if scaling.get("rope_type") in ("linear", "yarn"):
            w.add_rope_scaling_type(gguf.RopeScalingType(scaling["rope_type"]))
            w.add_rope_scaling_factor(scaling["factor"])
        if scaling.get("rope_type") == "yarn":
            w.add_rope_scaling_orig_ctx_len(TRAINED)
        if getattr(config, "sliding_window", None):
            w.add_sliding_window(config.sliding_window)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_head_count(HEADS)


def random_weights(name, shape, rng):
    if "norm" in name or ".ln_" in name:
        return (0.3 * rng.standard_normal(shape) + (name.endswith("weight"))).astype(np.float32)
    if len(shape) == 1:
        return (0.3 * rng.standard_normal(shape)).astype(np.float32)
    spread = 0.5 if "embed" in name or ".wte" in name or ".wpe" in name else 1.6 / math.sqrt(WIDTH)
    return (spread * rng.standard_normal(shape)).astype(np.float32)


def make(name, out):
    torch.manual_seed(0)
    config = MODELS[name]()
    model = tf.AutoModelForCausalLM.from_config(config).float().eval()
    rng = np.random.default_rng([ord(c) for c in name])
    arch = "llama" if config.model_type == "mistral" else config.model_type
    w = gguf.GGUFWriter(str(out / f"{name}.gguf"), arch)
    w.add_name(f"{name} with random weights")
    write_keys(w, config)
    state = {}
    for key, value in model.state_dict().items():
        if key.endswith((".attn.bias", ".attn.masked_bias", "inv_freq")):
            continue
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        plain = to_file(key, random_weights(key, tuple(value.shape), rng), config)
        kind = gguf.GGMLQuantizationType.F32
        if plain.ndim > 1 and ".wpe" not in key:
            kind = gguf.GGMLQuantizationType.Q8_0
            stored = gguf.quants.quantize(np.ascontiguousarray(plain), kind)
            plain = gguf.quants.dequantize(stored, kind)
            w.add_tensor(gguf_name(key, config.model_type), stored, raw_dtype=kind)
        else:
            w.add_tensor(gguf_name(key, config.model_type), np.ascontiguousarray(plain))
        state[key] = torch.from_numpy(np.ascontiguousarray(from_file(key, plain, config)))
    if (getattr(config, "rope_scaling", None) or {}).get("rope_type") == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_divisors(config))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(m.endswith((".attn.bias", ".attn.masked_bias", "lm_head.weight")) for m in missing), missing
    model.tie_weights()
    return model, rng


def main():
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        model, rng = make(name, out)
        prompts = [[int(i) for i in rng.integers(0, VOCAB, n)] for n in PROMPTS]
        save_answers(out / f"{name}.json", model, prompts)


main()
