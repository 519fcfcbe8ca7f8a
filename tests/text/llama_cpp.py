# SPDX-License-Identifier: MIT
"""llama.cpp's tokenizer from the PyPI package xllamacpp: loads a vocabulary alone and calls the C
functions through ctypes."""

import ctypes
import glob
import os

import xllamacpp

# struct llama_model_params is passed by value: a size that is large enough, and the offset of
# vocab_only (xllamacpp 2026.10; if another version moves it, a file without tensors fails to load).
PARAMS_BYTES = 256
VOCAB_ONLY = 72


class Params(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * PARAMS_BYTES)]


SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
    lambda *_: None
)


def _library():
    folder = os.path.dirname(xllamacpp.__file__)
    lib = ctypes.CDLL(glob.glob(folder + "/*.so")[0])
    lib.llama_log_set(SILENT, None)
    lib.llama_model_default_params.restype = Params
    lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
    lib.llama_model_load_from_file.restype = ctypes.c_void_p
    lib.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
    lib.llama_model_get_vocab.restype = ctypes.c_void_p
    lib.llama_tokenize.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.POINTER(ctypes.c_int32),
        ctypes.c_int32,
        ctypes.c_bool,
        ctypes.c_bool,
    ]
    lib.llama_token_to_piece.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_int32,
        ctypes.c_bool,
    ]
    return lib


LIB = _library()


class Vocabulary:
    def __init__(self, path):
        params = LIB.llama_model_default_params()
        params.bytes[VOCAB_ONLY] = 1
        model = LIB.llama_model_load_from_file(path.encode(), params)
        if not model:
            raise RuntimeError(path)
        self.vocab = LIB.llama_model_get_vocab(model)

    def ids(self, text, parse_special=False, add_special=False):
        """text: bytes"""
        room = 4 * len(text) + 16
        out = (ctypes.c_int32 * room)()
        n = LIB.llama_tokenize(
            self.vocab, text, len(text), out, room, add_special, parse_special
        )
        if n < 0:
            raise RuntimeError(n)
        return list(out[:n])

    def piece(self, token, special=True):
        out = ctypes.create_string_buffer(65536)
        n = LIB.llama_token_to_piece(self.vocab, token, out, len(out), 0, special)
        return out.raw[:n]
