#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/text_blocks.json and spm-user-tokenizer.gguf: the results of other libraries for
seeded random strings, a checksum for each hundred strings.

    pip install tokenizers sentencepiece protobuf gguf xllamacpp
    make_text_blocks.py DATA_FOLDER [STRINGS]

The generator below makes the strings from `alphabets`; tests/text/test_blocks.c has the same one.
For each split rule: the pieces of the text, and the ids (as plain text, then with special tokens;
composed first if the rule composes) from PyPI's `tokenizers` with the vocabulary of
llama-bpe-tokenizer.gguf.  For SentencePiece: the ids from llama.cpp (likewise) with the vocabularies
of llama-tiny.q8_0.gguf and of spm-user-tokenizer.gguf, which is the same with user-defined tokens.
On strings without special tokens `sentencepiece` itself must agree.

Characters are those that Unicode 14 has assigned, since libraries differ on newer ones."""

import json
import random
import struct
import sys
import unicodedata

from gguf import GGUFReader, GGUFWriter, TokenType
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from llama_cpp import Vocabulary

BLOCK = 100
SEED = 6

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SHARED = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + SHARED
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + SHARED
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SEED_CODER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"
    r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VIKING = r" ?[^(\s|.,!?…。，、।۔،)]+"
DEEPSEEK_LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫ"
    "ᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-"
    "ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-"
    "𞥃"
)
DEEPSEEK_SIGNS = r"\s?[!-/:-~！-／：-～‘-‟　-。]+"
DEEPSEEK_HAN = "[一-龥ࠀ-一가-퟿]+"
# Each stage cuts the pieces of the one before.
RULES = {
    "gpt-2": ([GPT2], False),
    "smollm": ([r"\p{N}", GPT2], False),
    "llama-bpe": ([LLAMA3], True),
    "qwen2": ([QWEN2], False),
    "tekken": ([TEKKEN], True),
    "gpt-4o": ([GPT4O], False),
    "deepseek-llm": (
        [r"[\r\n]", r"\s?[" + DEEPSEEK_LETTERS + "]+", DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_HAN, r"\p{N}+"],
        False,
    ),
    "deepseek-coder": ([r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_HAN, r"\p{N}"], False),
    "seed-coder": ([SEED_CODER], False),
    "viking": ([VIKING, r"\p{N}"], False),
    "default": ([r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"], False),
}
COMPOSED = ["qwen2"]  # whose text is brought into NFC first
SPM_USER = ["<user>", "\n\n", "  ", "hello world", "ö", "<|x|>", "<|x|><|y|>", "▁▁"]
MASK = (1 << 64) - 1


class Generator:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (
            self.state * 6364136223846793005 + 1442695040888963407
        ) & MASK
        return (self.state >> 33) % n

    def string(self, alphabets):
        mix_n = 1 + self.below(4)
        mix = [alphabets[self.below(len(alphabets))] for _ in range(mix_n)]
        out = []
        for _ in range(1 + self.below(24)):
            alphabet = mix[self.below(mix_n)]
            out.append(alphabet[self.below(len(alphabet))])
        return "".join(out)


class Checksum:
    """FNV-1a of 32-bit numbers."""

    def __init__(self):
        self.value = 0xCBF29CE484222325

    def add(self, numbers, end):
        for byte in struct.pack(f"<{len(numbers) + 1}i", *numbers, end):
            self.value = (self.value ^ byte) * 0x100000001B3 & MASK


def make_alphabets():
    by_class = {}
    for c in map(chr, range(0x110000)):
        category = unicodedata.category(c)
        if category not in ("Cn", "Cs", "Co"):
            by_class.setdefault(category, []).append(c)
    r = random.Random(SEED)
    some = [c for k in sorted(by_class) for c in r.sample(by_class[k], min(20, len(by_class[k])))]
    spaces = [c for c in sum(by_class.values(), []) if c.isspace()]
    return [
        list(" \t\n\r"),
        spaces + ["\u180e", "\u200b", "\ufeff"],
        ["'s", "'LL", "'Re", "'\u017f", "'", "'d", "'vE", "’t"],
        [chr(c) for c in range(32, 127)],
        list("0123456789²½٣"),
        some,
        list("abcdefghijklmnopqrstuvwxyz"),
        list("aAbBéÉßǅʰªאあ中"),
        list("ƻꞐԱ𐐀龥ࠀ가！／～‘。　…，।(|)·¡"),
        ["the", " the", "ing", "hello world", " Quire", "zzzz", "987", "/\n", "//"],
        ["<|begin_of_text|>", "<|eot_id|>", "<|eot_id|><|x|>", "<s>", "</s>", "<unk>", "<0x41>"],
        ["<user>", "▁", "  ", "<|x|>", "<|y|>", "\n\n", "x", "1"],
        list("eEaoq<\u0301\u0308\u0323\u0327\u0338\u0345\u0344\u212b\u01d5\u1e69\u1fb4\u0958\u0915\u093c"
             "\u09c7\u09be\u1100\u1161\u11a8\uac00\U0001d160\ufb2c\u0f73\u0f71"),
    ]


def vocabulary_of(path):
    fields = GGUFReader(path).fields

    def get(name):
        field = fields.get("tokenizer.ggml." + name)
        return field.contents() if field else None

    return {k: get(k) for k in ("tokens", "token_type", "merges", "scores")}


def tokenizer_of(vocabulary, stages, ignore_merges, composed):
    vocab = {t: i for i, t in enumerate(vocabulary["tokens"])}
    merges = [tuple(m.split(" ")) for m in vocabulary["merges"]]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(stage), "isolated") for stage in stages]
    )
    if composed:
        t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.add_special_tokens(
        [
            token
            for token, kind in zip(vocabulary["tokens"], vocabulary["token_type"])
            if kind == TokenType.CONTROL
        ]
    )
    return t, split


def bpe_blocks(strings, vocabulary):
    rules = {}
    for name, (stages, ignore_merges) in RULES.items():
        special, split = tokenizer_of(vocabulary, stages, ignore_merges, name in COMPOSED)
        plain = Tokenizer.from_str(special.to_str())
        plain.encode_special_tokens = True
        blocks = []
        for at in range(0, len(strings), BLOCK):
            sum_ = Checksum()
            for s in strings[at : at + BLOCK]:
                sum_.add([len(p.encode()) for p, _ in split.pre_tokenize_str(s)], -1)
                sum_.add(plain.encode(s, add_special_tokens=False).ids, -2)
                sum_.add(special.encode(s, add_special_tokens=False).ids, -3)
            blocks.append(f"{sum_.value:016x}")
        rules[name] = blocks
    return rules


def spm_blocks(strings, path):
    vocabulary = Vocabulary(path)
    blocks = []
    for at in range(0, len(strings), BLOCK):
        sum_ = Checksum()
        for s in strings[at : at + BLOCK]:
            sum_.add(vocabulary.ids(s.encode()), -2)
            sum_.add(vocabulary.ids(s.encode(), parse_special=True), -3)
        blocks.append(f"{sum_.value:016x}")
    return blocks


def write_user_tokenizer(path, vocabulary):
    """llama-tiny's vocabulary and user-defined tokens behind it."""
    tokens, kinds, scores = (list(vocabulary[k]) for k in ("tokens", "token_type", "scores"))
    for token in SPM_USER:
        if token in tokens:
            kinds[tokens.index(token)] = TokenType.USER_DEFINED
        else:
            tokens.append(token)
            kinds.append(TokenType.USER_DEFINED)
            scores.append(-1000.0)
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def sentencepiece_of(vocabulary):
    """The library's own model of a GGUF's vocabulary."""
    kinds = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}
    proto = sentencepiece_model_pb2.ModelProto()
    for text, score, kind in zip(*(vocabulary[k] for k in ("tokens", "scores", "token_type"))):
        piece = proto.pieces.add()
        piece.piece, piece.score, piece.type = text, score, kinds[kind]
    proto.trainer_spec.model_type = 2
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    sp = SentencePieceProcessor()
    sp.LoadFromSerializedProto(proto.SerializeToString())
    return sp


def compare_with_sentencepiece(strings, path, vocabulary):
    sp, other = sentencepiece_of(vocabulary), Vocabulary(path)
    compared = 0
    for s in strings:
        if any(x in s for x in ("<user>", "\u2581", "\0")):
            continue
        compared += 1
        if sp.EncodeAsIds(s) != other.ids(s.encode()):
            sys.exit(f"sentencepiece and llama.cpp differ on {s!r}")
    print(f"sentencepiece and llama.cpp agree on {compared} strings")


def main():
    folder = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    alphabets = make_alphabets()
    generator = Generator(SEED)
    strings = [generator.string(alphabets) for _ in range(count)]
    llama_tiny = f"{folder}/llama-tiny.q8_0.gguf"
    user = f"{folder}/spm-user-tokenizer.gguf"
    write_user_tokenizer(user, vocabulary_of(llama_tiny))
    compare_with_sentencepiece(strings, llama_tiny, vocabulary_of(llama_tiny))
    out = {
        "format": "Checksums of blocks of seeded strings, by split rule and SentencePiece "
        "vocabulary; see tests/text/make_text_blocks.py.",
        "seed": SEED,
        "block": BLOCK,
        "alphabets": alphabets,
        "rules": bpe_blocks(strings, vocabulary_of(f"{folder}/llama-bpe-tokenizer.gguf")),
        "spm": {
            "llama-tiny.q8_0.gguf": spm_blocks(strings, llama_tiny),
            "spm-user-tokenizer.gguf": spm_blocks(strings, user),
        },
    }
    with open(f"{folder}/text_blocks.json", "w", encoding="ascii") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


main()
