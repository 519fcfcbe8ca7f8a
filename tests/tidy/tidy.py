#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house's rules that a compiler does not see.

usage: tidy.py SOURCE BUILD

Prints every breach as file:line: what, and ends with 'N passed, N failed'.
Rules:
  direction  a file includes only what its layer may see (ARCHITECTURE.md, "Who may include whom")
  builds     an include against the direction does not compile: tried with each layer's own include
             folders, for every pair of layers
  homes      one library has one home (cblas, jemalloc, PCRE2, utf8proc, libuv, jansson, http_parser)
  spdx       every source begins with its licence line
  width      no line of C over 100 columns
  done       nothing is left undone by its own words
  portable   no build flag for this machine only, none that switches assertions off
  readme     every folder has a README; docs/fields.md names every request field that the server
             reads, docs/metrics.md every metric that it writes
"""
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()

# Layer: folders it may include besides its own.
MAY = {
    "kernels": [],
    "cache": ["kernels"],
    "scheduler": ["cache", "kernels"],
    "runtime/base": ["runtime/quire.h"],
    "runtime/text": ["runtime/base", "runtime/quire.h"],
    "runtime/template": ["runtime/base", "runtime/quire.h"],
    "runtime/grammar": ["runtime/base", "runtime/quire.h"],
    "runtime/model": ["runtime/base", "runtime/quire.h", "cache", "kernels"],
    "runtime/engine": ["runtime/base", "runtime/text", "runtime/template", "runtime/grammar",
                       "runtime/model",
                       "runtime/quire.h", "scheduler", "cache", "kernels"],
    "runtime/server": ["runtime/base", "runtime/quire.h"],
    "tools/client": ["runtime/quire.h"],
    "tools/quire": ["runtime/quire.h", "tools/client"],
    "tools/loadgen": ["tools/client"],
}
# inspect reads the GGUF parser, and through it the tensor types.
EXTRA = {"tools/quire/inspect.c": ["runtime/model/gguf.h", "runtime/base", "kernels/types.h"]}

HOMES = {
    r"<cblas\.h>": ["tests/"],
    r"<jemalloc/": ["runtime/server/"],
    r"<pcre2\.h>": ["runtime/text/"],
    r"<utf8proc\.h>": ["runtime/text/", "runtime/grammar/"],
    r"<uv\.h>": ["runtime/engine/loop", "runtime/server/", "tools/client/", "tools/loadgen/",
                 "tools/quire/", "tests/"],
    r"<jansson\.h>": ["runtime/grammar/", "runtime/server/", "tools/", "tests/"],
    r"<http_parser\.h>": ["runtime/server/", "tools/client/", "tests/"],
}

LAYER_TARGETS = {
    "kernels": "qr_kernels", "cache": "qr_cache", "scheduler": "qr_scheduler",
    "runtime/base": "qr_base", "runtime/text": "qr_text", "runtime/template": "qr_template",
    "runtime/grammar": "qr_grammar",
    "runtime/model": "qr_model",
    "runtime/engine": "qr_engine", "runtime/server": "qr_server",
}

breaches = []
checked = 0


def breach(path, line, what):
    breaches.append(f"{path}:{line}: {what}")


def sources(*suffixes):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=SOURCE,
                            capture_output=True, text=True)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [
        str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*")
        if p.is_file() and "build" not in p.relative_to(SOURCE).parts[:1]]
    return [n for n in names if n.endswith(suffixes) and (SOURCE / n).is_file()]


def scripts():
    """Programs without a suffix: tools/check and the like."""
    return [n for n in sources("") if n.startswith("tools/") and "." not in n.rsplit("/", 1)[1]]


def layer_of(name):
    return next((l for l in sorted(MAY, key=len, reverse=True) if name.startswith(l + "/")), None)


def check_file(name):
    global checked
    checked += 1
    text = (SOURCE / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    layer = layer_of(name)
    if not name.endswith((".txt", ".in")) and not any(
            "SPDX-License-Identifier: MIT" in l for l in lines[:2]):
        breach(name, 1, "no SPDX licence line")
    for number, line in enumerate(lines, 1):
        if name.endswith((".c", ".h")):
            if len(line) > 100:
                breach(name, number, f"{len(line)} columns")
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if found and layer:
                wanted = found.group(1)
                allowed = MAY[layer] + [layer] + EXTRA.get(name, [])
                if not any(wanted == a or wanted.startswith(a + "/") for a in allowed):
                    breach(name, number, f"{layer} may not include {wanted}")
            for pattern, homes in HOMES.items():
                if re.search(r"#\s*include\s+" + pattern, line) and not name.startswith(
                        tuple(homes)):
                    breach(name, number, f"{line.strip()} is at home in {', '.join(homes)}")
        if name != "tests/tidy/tidy.py" and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            breach(name, number, "left undone by its own words")


def check_build_files():
    global checked
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        checked += 1
        for number, line in enumerate((SOURCE / name).read_text().splitlines(), 1):
            if re.search(r"march=native|mtune=native|NDEBUG", line):
                breach(name, number, "a flag for this machine only, or one that ends assertions")
    checked += 1
    if "-DNDEBUG" in (BUILD / "compile_commands.json").read_text():
        breach("CMakeLists.txt", 0, "this build has no assertions")


def check_readmes():
    global checked
    for folder in ("kernels", "cache", "scheduler", "runtime", "runtime/base", "runtime/text",
                   "runtime/template", "runtime/grammar", "runtime/model", "runtime/engine",
                   "runtime/server", "tools", "tests"):
        if not (SOURCE / folder).is_dir():
            continue
        checked += 1
        if not (SOURCE / folder / "README.md").is_file():
            breach(folder, 0, "no README.md")


def check_fields():
    """docs/fields.md names every field that the server reads from a body."""
    global checked
    page = (SOURCE / "docs/fields.md").read_text()
    for source in sources(".c"):
        if not source.startswith("runtime/server/"):
            continue
        for field in set(re.findall(r'\bbody, "(\w+)"', (SOURCE / source).read_text())):
            checked += 1
            if not re.search(rf"`{field}[`.]", page):
                breach("docs/fields.md", 0, f"does not name the field {field}")


def check_metrics():
    """docs/metrics.md and the server name the same metrics."""
    global checked
    page = set(re.findall(r"^\| `quire_(\w+)`", (SOURCE / "docs/metrics.md").read_text(), re.M))
    source = (SOURCE / "runtime/server/metrics.c").read_text()
    written = set(re.findall(r'\bput_\w+\(\s*out, "(\w+)"', source))
    checked += len(written | page)
    for name in sorted(written - page):
        breach("docs/metrics.md", 0, f"does not name the metric quire_{name}")
    for name in sorted(page - written):
        breach("docs/metrics.md", 0, f"names quire_{name}, which the server does not write")


def include_dirs(layer, seen=None):
    seen = set() if seen is None else seen
    seen.add(layer)
    links = {"cache": ["kernels"], "scheduler": ["cache"], "runtime/text": ["runtime/base"],
             "runtime/template": ["runtime/base"], "runtime/grammar": ["runtime/base"],
             "runtime/model": ["runtime/base", "cache"],
             "runtime/engine": ["runtime/text", "runtime/template", "runtime/grammar", "runtime/model",
                                "scheduler"],
             "runtime/server": ["runtime/base"]}
    for link in links.get(layer, []):
        if link not in seen:
            include_dirs(link, seen)
    return seen


def check_builds():
    """Every header of every layer, from every other layer: compiles if and only if allowed."""
    global checked
    commands = (BUILD / "compile_commands.json").read_text()
    for layer, target in LAYER_TARGETS.items():
        # The include folders that the build really gives this layer.
        block = next((b for b in commands.split('"command"')[1:] if f"CMakeFiles/{target}.dir/" in b),
                     None)
        if block is None:
            breach("CMakeLists.txt", 0, f"no compile command for {target}")
            continue
        roots = sorted(set(re.findall(r"-I(\S*/layers/\w+)", block)))
        for other in LAYER_TARGETS:
            header = next((n for n in sources(".h") if n.rsplit("/", 1)[0] == other), None)
            if header is None or other == layer:
                continue
            checked += 1
            flags = [f for r in roots for f in ("-I", r)]
            result = subprocess.run(
                ["cc", "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c", *flags, "-"],
                input=f'#include "{header}"\n', capture_output=True, text=True, cwd="/")
            may = other in include_dirs(layer)
            if may and result.returncode:
                breach("CMakeLists.txt", 0, f"{layer} should see {header} and does not:\n"
                       + result.stderr)
            if not may and not result.returncode:
                breach("CMakeLists.txt", 0, f"{layer} sees {header}")


for source in sources(".c", ".h", ".py", ".sh", ".txt", ".in") + scripts():
    if not source.startswith("tests/data/"):
        check_file(source)
check_build_files()
check_readmes()
check_fields()
check_metrics()
check_builds()
for b in breaches:
    print(b)
print(f"{checked} checks: {max(checked - len(breaches), 0)} passed, {len(breaches)} failed")
sys.exit(1 if breaches else 0)
