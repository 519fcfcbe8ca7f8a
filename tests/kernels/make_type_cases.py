#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/types.gguf: seeded blocks of every type, and their values by the PyPI package
`gguf` (gguf.quants.dequantize).

    pip install gguf
    make_type_cases.py OUTPUT

Each type has two tensors: one of the type, named for it, and one with its values, named with the
suffix `.f32`.  Bytes are random, so every quant and every inner scale occurs.  The f16 scales
include the extremes of the format, each together with ordinary ones."""

import sys

import numpy
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# The offsets of the f16 in a block.
SCALES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.IQ4_NL: [0], Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_XS: [0],
}
# Zeros, the least and the greatest subnormal, the least normal, one, the greatest.
EXTREMES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF]
VALUES_N = 4096


def blocks(random, kind):
    values_n, bytes_n = GGML_QUANT_SIZES[kind]
    blocks_n = VALUES_N // values_n
    data = random.integers(0, 256, (blocks_n, bytes_n), numpy.uint8)
    for which, at in enumerate(SCALES[kind]):
        scale = random.normal(0, 0.02, blocks_n).astype(numpy.float16).view(numpy.uint16)
        for i in range(min(blocks_n, len(EXTREMES))):
            scale[i] = EXTREMES[(i + 3 * which) % len(EXTREMES)]
        data[:, at] = scale & 255
        data[:, at + 1] = scale >> 8
    return data.reshape(16, -1)


def main():
    random = numpy.random.default_rng(20)
    writer = GGUFWriter(sys.argv[1], "none")
    for kind in SCALES:
        data = blocks(random, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        writer.add_tensor(kind.name + ".f32", dequantize(data, kind).astype(numpy.float32))
    for kind, bits in ((Type.F16, 16), (Type.BF16, 16)):
        data = random.integers(0, 0x7C00 if kind == Type.F16 else 0x7F80, 256).astype(numpy.uint16)
        data ^= random.integers(0, 2, 256).astype(numpy.uint16) << 15
        stored = data.view(numpy.float16) if kind == Type.F16 else data.view(numpy.uint8)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        writer.add_tensor(kind.name + ".f32", dequantize(stored, kind).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
