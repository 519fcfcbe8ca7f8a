# SPDX-License-Identifier: MIT
"""bfloat16 -- a GGUF file's weights as a Hugging Face model directory in bfloat16.

For runtimes that do not read quantised GGUF on a CPU.  PyPI's `gguf` dequantises the blocks, and the
weights are rounded to bfloat16.  There is no tokenizer, because prompts are token ids.  Llama
architectures only; a file with a feature that config.json cannot express is refused.
"""
import json
import pathlib
import shutil
import tempfile

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
       "output.weight": "lm_head.weight"}
# Llama 3's rule for long contexts.  GGUF stores its results as rope_freqs.
LOW, HIGH, ORIGINAL = 1.0, 4.0, 8192


def name_of(tensor):
    """The Hugging Face name of a GGUF tensor."""
    if tensor in TOP:
        return TOP[tensor]
    parts = tensor.split(".")
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in NAMES or parts[3] != "weight":
        raise ValueError(f"tensor {tensor} has no place in a Llama directory")
    return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"


def halves(weights, heads):
    """Reorders rows of q or k from GGUF's adjacent pairs to Hugging Face's halves."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(
        rows, columns)


def rope_of(theta, head, divisors):
    """rope_parameters for config.json; divisors: the file's rope_freqs, or None."""
    import numpy as np

    if divisors is None:
        return {"rope_type": "default", "rope_theta": theta}
    factor = float(divisors.max())
    lengths = 2 * np.pi * theta ** (np.arange(0, head, 2) / head)
    smooth = (ORIGINAL / lengths - LOW) / (HIGH - LOW)
    expected = np.where(lengths < ORIGINAL / HIGH, 1, np.where(
        lengths > ORIGINAL / LOW, factor, 1 / ((1 - smooth) / factor + smooth)))
    if not np.allclose(divisors, expected, rtol=1e-3):
        raise ValueError("rope_freqs are not by Llama 3's rule")
    return {"rope_type": "llama3", "rope_theta": theta, "factor": factor, "low_freq_factor": LOW,
            "high_freq_factor": HIGH, "original_max_position_embeddings": ORIGINAL}


def config_of(reader, tensors):
    def value(key, default=None):
        field = reader.get_field(key)
        if field is None and default is None:
            raise ValueError(f"the file has no {key}")
        return default if field is None else field.contents()

    architecture = value("general.architecture")
    if architecture != "llama":
        raise ValueError(f"architecture {architecture}: only llama is written as bfloat16")
    if value("llama.rope.scaling.type", "none") != "none":
        raise ValueError("a rope scaling by the file's keys is not written as bfloat16")
    heads, size = value("llama.attention.head_count"), value("llama.embedding_length")
    head = value("llama.attention.key_length", size // heads)
    divisors = tensors.get("rope_freqs.weight")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": size, "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": value("llama.block_count"), "num_attention_heads": heads,
        "num_key_value_heads": value("llama.attention.head_count_kv", heads), "head_dim": head,
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_parameters": rope_of(value("llama.rope.freq_base", 10000.0), head,
                                   None if divisors is None else divisors.data),
        "max_position_embeddings": value("llama.context_length"),
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "tie_word_embeddings": "output.weight" not in tensors, "dtype": "bfloat16",
        "bos_token_id": value("tokenizer.ggml.bos_token_id", 1),
        "eos_token_id": value("tokenizer.ggml.eos_token_id", 2),
    }


def write(gguf_file, folder):
    import gguf
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file

    reader = gguf.GGUFReader(gguf_file)
    tensors = {t.name: t for t in reader.tensors}
    config = config_of(reader, tensors)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for name, tensor in tensors.items():
        if name == "rope_freqs.weight":  # expressed by rope_parameters
            continue
        values = dequantize(tensor.data, tensor.tensor_type)
        kind = name.split(".")[2] if name.startswith("blk.") else ""
        if kind in heads:
            values = halves(values, heads[kind])
        weights[name_of(name)] = torch.tensor(values).to(torch.bfloat16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1))


def directory(gguf_file, cache):
    """The directory for this file, made the first time.  It is renamed into place when it is whole."""
    source = pathlib.Path(gguf_file).resolve()
    state = source.stat()
    wanted = pathlib.Path(cache) / f"{source.stem}-{state.st_size}-{state.st_mtime_ns}"
    if wanted.exists():
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pathlib.Path(tempfile.mkdtemp(dir=wanted.parent))
    try:
        write(source, unfinished)
        unfinished.rename(wanted)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return wanted
