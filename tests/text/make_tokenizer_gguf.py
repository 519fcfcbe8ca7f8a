#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Copies only the tokenizer of a GGUF file: no tensors, no shape.

    pip install gguf
    make_tokenizer_gguf.py FROM.gguf TO.gguf

It made tests/data/gpt2-tiny-tokenizer.gguf from gpt2-tiny.f16.gguf, whose ids are in
tests/data/tokenizers.json under bpe-gpt2."""

import sys

from gguf import GGUFReader, GGUFValueType, GGUFWriter


def main():
    source, target = sys.argv[1:]
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("tokenizer."):
            continue
        value, kind = field.contents(), field.types[0]
        if kind == GGUFValueType.ARRAY:
            writer.add_key_value(name, value, kind, sub_type=field.types[-1])
        else:
            writer.add_key_value(name, value, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


main()
