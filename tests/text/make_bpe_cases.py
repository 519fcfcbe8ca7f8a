#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/bpe_cases.json and tests/data/llama-bpe-tokenizer.gguf: the results of the PyPI
package `tokenizers` for random strings, cut by three split rules and encoded by a small tokenizer of
Llama 3's kind (its pattern, ignore_merges), which this script trains.

    pip install tokenizers gguf
    make_bpe_cases.py TRAINING_TEXT OUTPUT_FOLDER [CASES]

Characters are those that Unicode 14 has assigned, since libraries differ on newer ones."""

import json
import random
import sys
import unicodedata

from gguf import GGUFWriter, TokenType
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RULES = {
    "gpt-2": pre_tokenizers.Split(Regex(GPT2), "isolated"),
    "smollm": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(GPT2), "isolated"),
        ]
    ),
    "llama-bpe": pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
}
# Tokens that no merge makes: only ignore_merges finds them.
UNMERGED = [" Quire", "zzzz", "\n\n\n\n\n", " été", "987", "'LL"]
SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eot_id|><|x|>"]


def letters(text):
    """A text in GPT-2's byte letters."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(piece for piece, _ in level.pre_tokenize_str(text))


def train(text):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            RULES["llama-bpe"],
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.train_from_iterator(
        [text],
        trainers.BpeTrainer(
            vocab_size=900,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    model = json.loads(tokenizer.to_str())["model"]
    vocab = model["vocab"]
    for extra in UNMERGED:
        if letters(extra) not in vocab:
            vocab[letters(extra)] = len(vocab)
    merges = [tuple(m) for m in model["merges"]]
    tokenizer.model = models.BPE(vocab=vocab, merges=merges, ignore_merges=True)
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer, merges


def write_gguf(path, tokenizer, merges):
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=vocab.get)
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if t in SPECIALS else TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    writer.add_bos_token_id(vocab["<|begin_of_text|>"])
    writer.add_eos_token_id(vocab["<|end_of_text|>"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def alphabets():
    assigned = [
        chr(c)
        for c in range(0x110000)
        if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")
    ]
    by_class = {}
    for c in assigned:
        by_class.setdefault(unicodedata.category(c), []).append(c)
    spaces = [c for c in assigned if c.isspace()] + ["\u180e", "\u200b", "\ufeff"]
    return [
        lambda r: r.choice(" \t\n\r"),
        lambda r: r.choice(spaces),
        lambda r: r.choice(["'s", "'LL", "'Re", "'\u017f", "'", "'d", "'vE"]),
        lambda r: chr(r.randrange(32, 127)),
        lambda r: r.choice("0123456789"),
        lambda r: r.choice(by_class[r.choice(sorted(by_class))]),
        lambda r: r.choice("abcdefghijklmnopqrstuvwxyz"),
        lambda r: r.choice(UNMERGED + SPECIALS + ["the", " the", "ing"]),
    ]


def main():
    training, folder = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    tokenizer, merges = train(open(training, encoding="utf-8").read())
    write_gguf(f"{folder}/llama-bpe-tokenizer.gguf", tokenizer, merges)
    r = random.Random(3)
    kinds = alphabets()
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    cases = []
    for _ in range(count):
        mix = r.sample(kinds, r.randint(1, 4))
        s = "".join(r.choice(mix)(r) for _ in range(r.randint(1, 24)))
        case = {"s": s}
        for name, rule in RULES.items():
            case[name] = [len(piece.encode()) for piece, _ in rule.pre_tokenize_str(s)]
        case["ids"] = plain.encode(s, add_special_tokens=False).ids
        sp_ids = tokenizer.encode(s, add_special_tokens=False).ids
        if sp_ids != case["ids"]:
            case["sp_ids"] = sp_ids
        cases.append(case)
    note = (
        "Per string: bytes of each piece by split rule; ids of llama-bpe-tokenizer.gguf as plain "
        "text, sp_ids with special tokens recognised where that differs. From PyPI's tokenizers; "
        "tests/text/make_bpe_cases.py."
    )
    with open(f"{folder}/bpe_cases.json", "w", encoding="ascii") as out:
        out.write('{"format": ' + json.dumps(note) + ',\n"cases": [\n')
        out.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
        out.write("\n]}\n")


main()
