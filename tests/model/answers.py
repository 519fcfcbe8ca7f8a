# SPDX-License-Identifier: MIT
"""Shared by the scripts of this folder that run transformers: names in GGUF files, the order of their
rows, and a model's answers in the form that golden.h reads.  Needs PyPI's torch."""
import base64
import json

import torch
import transformers

GREEDY = 40

# transformers' names and llama.cpp's: outside the layers, and within a layer.
LLAMA = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GPT2 = {
    "transformer.wte.weight": "token_embd.weight", "transformer.wpe.weight": "position_embd.weight",
    "transformer.ln_f.weight": "output_norm.weight", "transformer.ln_f.bias": "output_norm.bias",
    "ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}


def gguf_name(name, kind):
    table = GPT2 if kind == "gpt2" else LLAMA
    if name in table:
        return table[name]
    parts = name.split(".")
    layer, rest, end = parts[2], ".".join(parts[3:-1]), parts[-1]
    return f"blk.{layer}.{table[rest]}.{end}"


def permute(w, heads):
    """Reorders rows of Q or K, so that pairs that are rotated together become neighbours."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


def to_file(name, w, config):
    """The matrix as rows of outputs, in the file's order."""
    if config.model_type == "gpt2" and ".c_" in name and name.endswith("weight"):
        return w.T  # Conv1D is transposed
    if config.model_type in ("llama", "mistral"):
        if "q_proj" in name:
            return permute(w, config.num_attention_heads)
        if "k_proj" in name:
            return permute(w, config.num_key_value_heads)
    return w


def from_file(name, w, config):
    if config.model_type == "gpt2" and ".c_" in name and name.endswith("weight"):
        return w.T
    for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if config.model_type in ("llama", "mistral") and part in name:
            heads = getattr(config, heads)
            return w.reshape(heads, w.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
    return w


def rounded(values):
    return [float(f"{v:.6g}") for v in values]


@torch.no_grad()
def answer(model, ids):
    def logits_of(tokens):
        return model(torch.tensor([tokens]), use_cache=False).logits[0].double()

    logits = logits_of(ids)
    logprobs = torch.log_softmax(logits, -1)
    last = logits[-1].float().numpy()
    greedy = {"ids": [], "margin": [], "second": []}
    tokens = list(ids)
    for _ in range(GREEDY):
        best = torch.topk(logits_of(tokens)[-1], 2)
        greedy["ids"].append(int(best.indices[0]))
        greedy["second"].append(int(best.indices[1]))
        greedy["margin"].append(float(best.values[0] - best.values[1]))
        tokens.append(greedy["ids"][-1])
    greedy["margin"] = rounded(greedy["margin"])
    return {
        "name": f"{len(ids)} tokens",
        "prompt": ids,
        "prompt_logprobs": [None] + rounded(
            float(logprobs[i - 1, ids[i]]) for i in range(1, len(ids))),
        "last": {"f32_b64": base64.b64encode(last.astype("<f4").tobytes()).decode()},
        "greedy": greedy,
    }


def save_answers(path, model, prompts, **about):
    answers = {"reference": f"transformers {transformers.__version__} in float32, eager attention, weights "
                            "dequantised from this file", **about,
               "cases": [answer(model, ids) for ids in prompts]}
    path.write_text(json.dumps(answers, separators=(",", ":")) + "\n")
