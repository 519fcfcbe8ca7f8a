# SPDX-License-Identifier: MIT
"""Copies a GGUF file with every quantised tensor dequantised to F32, F16 or BF16.

    make_float.py IN.gguf OUT.gguf [f32|f16|bf16]

Needs PyPI's gguf, an independent implementation of the quantised types."""
import sys

import gguf
import numpy as np


def main():
    source, target = sys.argv[1:3]
    kind = sys.argv[3] if len(sys.argv) > 3 else "f32"
    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, arch)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        types = field.types
        sub = types[1] if types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), types[0], sub)
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if len(tensor.shape) < 2 or kind == "f32":
            writer.add_tensor(tensor.name, data)
        elif kind == "f16":
            writer.add_tensor(tensor.name, data.astype(np.float16))
        else:
            bf16 = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(tensor.name, gguf.quants.quantize(data, bf16), raw_dtype=bf16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
