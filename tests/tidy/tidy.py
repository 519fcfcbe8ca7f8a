#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the rules of the tree that a compiler does not see.

usage: tidy.py SOURCE BUILD

Prints every breach as file:line: what, and ends with 'N passed, N failed'.
Rules:
  direction  a file includes only what its layer may see (ARCHITECTURE.md, "Who may include whom")
  builds     an include against the direction does not compile: tried with each layer's own include
             folders, for every pair of layers
  libraries  a packaged library is included from few folders only (PCRE2, libuv, jansson, ...)
  spdx       every source begins with its licence line
  width      no line of C over 100 columns
  done       no TODO or FIXME
  sections   a section rule fits one line
  tags       a struct, enum or union tag that begins with qr_ is defined once
  portable   no build flag for this machine only, none that switches assertions off
  layers     CMakeLists.txt links each layer to the layers that MAY lists; ARCHITECTURE.md names them
  readme     every folder has a README of at most 1,800 words
  files      a folder's README names each of its .c and .h files, or a pattern like `attention_*`
  names      a `qr_` name in backticks in a README, ARCHITECTURE.md or CONTRIBUTING.md exists in the sources
  fields     docs/fields.md names every field of a request, docs/metrics.md every metric
  links      relative links in .md files point at files that exist; docs/notes/README.md lists the notes
"""
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()

# Layer: folders it may include besides its own.  check_layers compares CMakeLists.txt with this.
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
    "runtime/parse": ["runtime/base", "runtime/quire.h"],
    "runtime/server": ["runtime/base", "runtime/parse", "runtime/quire.h"],
    "tools/client": ["runtime/quire.h"],
    "tools/quire": ["runtime/quire.h", "tools/client"],
    "tools/loadgen": ["tools/client"],
}
# inspect reads the GGUF parser, and through it the tensor types.  The options of generate and chat
# are made from the table of sampler settings.  parse reads answers.
EXTRA = {"tools/quire/inspect.c": ["runtime/model/gguf.h", "runtime/base", "kernels/types.h"],
         "tools/quire/answer.h": ["runtime/base/sampler_settings.h"],
         "tools/quire/parse.c": ["runtime/parse", "runtime/base"]}

LIBRARIES = {
    r"<cblas\.h>": ["tests/"],
    r"<jemalloc/": ["runtime/server/"],
    r"<pcre2\.h>": ["runtime/text/"],
    r"<utf8proc\.h>": ["runtime/text/", "runtime/grammar/"],
    r"<uv\.h>": ["runtime/engine/loop", "runtime/server/", "tools/client/", "tools/loadgen/",
                 "tools/quire/", "tests/"],
    r"<jansson\.h>": ["runtime/grammar/", "runtime/parse/", "runtime/server/", "tools/",
                      "tests/"],
    r"<http_parser\.h>": ["runtime/server/", "tools/client/", "tests/"],
}

WORDS_MAX = 1800


def cmake_layers():
    """Folder: (target, folders that it links, transitively), as CMakeLists.txt has them."""
    text = (SOURCE / "CMakeLists.txt").read_text()
    calls = re.findall(r"quire_layer\((qr_\w+) (\S+)([^)]*)\)", text)
    folder_of = {target: folder for target, folder, _ in calls}
    folder_of["quire_header"] = "runtime/quire.h"
    links = {}
    for target, _, rest in calls:
        words = rest.replace("PRIVATE_LINKS", "LINKS-").split()
        links[target] = []
        if "LINKS" in words:
            for word in words[words.index("LINKS") + 1:]:
                if word == "LINKS-":
                    break
                links[target].append(word)

    def reach(target):
        found = set()
        for link in links.get(target, []):
            found |= {folder_of[link]} | reach(link)
        return found

    return {folder: (target, reach(target)) for target, folder, _ in calls}


LAYERS = cmake_layers()
LAYER_TARGETS = {folder: target for folder, (target, _) in LAYERS.items()
                 if not folder.startswith("tools/")}

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
            if re.match(r"/\* -{4,} ", line) and "*/" not in line:
                breach(name, number, "a section rule that does not fit one line")
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if found and layer:
                wanted = found.group(1)
                allowed = MAY[layer] + [layer] + EXTRA.get(name, [])
                if not any(wanted == a or wanted.startswith(a + "/") for a in allowed):
                    breach(name, number, f"{layer} may not include {wanted}")
            for pattern, folders in LIBRARIES.items():
                if re.search(r"#\s*include\s+" + pattern, line) and not name.startswith(
                        tuple(folders)):
                    breach(name, number, f"{line.strip()} belongs in {', '.join(folders)}")
        if re.match(r"(<{7}|={7}|>{7})( |$)", line):
            breach(name, number, "a conflict marker")
        if name != "tests/tidy/tidy.py" and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            breach(name, number, "a TODO or FIXME")


def check_build_files():
    global checked
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        checked += 1
        for number, line in enumerate((SOURCE / name).read_text().splitlines(), 1):
            if re.search(r"march=native|mtune=native|NDEBUG", line):
                breach(name, number, "a flag for this machine only, or one that switches assertions off")
    checked += 1
    if "-DNDEBUG" in (BUILD / "compile_commands.json").read_text():
        breach("CMakeLists.txt", 0, "this build has no assertions")


def check_readmes():
    global checked
    for folder in ("kernels", "cache", "scheduler", "runtime", "runtime/base", "runtime/text",
                   "runtime/template", "runtime/grammar", "runtime/model", "runtime/engine",
                   "runtime/parse", "runtime/server", "tools", "tests"):
        if not (SOURCE / folder).is_dir():
            continue
        checked += 1
        if not (SOURCE / folder / "README.md").is_file():
            breach(folder, 0, "no README.md")
            continue
        words = len((SOURCE / folder / "README.md").read_text().split())
        if words > WORDS_MAX:
            breach(f"{folder}/README.md", 0, f"{words} words, at most {WORDS_MAX}")


def is_named(name, words):
    """A file in a README's backticked words: its name, its stem, or a pattern that begins it."""
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    for word in words:
        word = re.sub(r"\.(c|h|\*)$", "", word.rsplit("/", 1)[-1])
        if word == stem or word.endswith("*") and stem.startswith(word.rstrip("*")):
            return True
        if "*" in word and re.fullmatch(re.escape(word).replace(r"\*", ".*"), stem):
            return True
    return False


def check_files():
    """A folder's README names its C files."""
    global checked
    for folder in ("kernels", "cache", "scheduler", "runtime/base", "runtime/text",
                   "runtime/template", "runtime/grammar", "runtime/model", "runtime/engine",
                   "runtime/parse", "runtime/server"):
        text = (SOURCE / folder / "README.md").read_text()
        words = [w for words in re.findall(r"`([^`\n]+)`", text) for w in words.split()]
        for name in sources(".c", ".h"):
            if name.startswith(folder + "/"):
                checked += 1
                if not is_named(name, words):
                    breach(f"{folder}/README.md", 0, f"does not name {name}")


def check_names():
    """Every `qr_` name of a README, ARCHITECTURE.md and CONTRIBUTING.md is in the sources."""
    global checked
    known = set()
    for name in sources(".c", ".h", ".py", ".txt"):
        if not name.startswith("tests/data/"):
            known |= set(re.findall(r"\bqr_\w+", (SOURCE / name).read_text()))
    for page in sources(".md"):
        if not page.endswith("README.md") and page not in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
            continue
        for number, line in enumerate((SOURCE / page).read_text().splitlines(), 1):
            for quoted in re.findall(r"`([^`]+)`", line):
                for word in re.findall(r"\bqr_\w+(?![\w<*])", quoted):
                    checked += 1
                    if word not in known:
                        breach(page, number, f"names {word}, which does not exist")


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


def check_unsupported():
    """docs/fields.md names every field that the server refuses."""
    global checked
    page = (SOURCE / "docs/fields.md").read_text()
    text = (SOURCE / "runtime/server/unsupported.c").read_text()
    for field in re.findall(r'^    X\("(\w+)",', text, re.M):
        checked += 1
        if f"| `{field}` |" not in page:
            breach("docs/fields.md", 0, f"does not name the refused field {field}")


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


def check_layers():
    """MAY, CMakeLists.txt and ARCHITECTURE.md have the same layers."""
    global checked
    architecture = (SOURCE / "ARCHITECTURE.md").read_text()
    if set(MAY) != set(LAYERS):
        breach("CMakeLists.txt", 0, f"its layers differ from tidy.py's: {set(MAY) ^ set(LAYERS)}")
    for folder, (_, links) in LAYERS.items():
        checked += 1
        allowed = set(MAY.get(folder, []))
        # quire.h comes with a link to tools/client.  A file in EXTRA needs more than its layer.
        more = links if any(n.startswith(folder + "/") for n in EXTRA) else {"runtime/quire.h"}
        if not allowed <= links or not links <= allowed | more:
            breach("CMakeLists.txt", 0, f"{folder} links {sorted(links)}, "
                   f"and tidy.py allows {sorted(allowed)}")
        if f"`{folder.rsplit('/', 1)[-1]}`" not in architecture:
            breach("ARCHITECTURE.md", 0, f"does not name the layer {folder}")


def check_tags():
    """A qr_ tag is defined once in the library and tools.  Bare tags are their file's own."""
    global checked
    where = {}
    for name in sources(".c", ".h"):
        if name.startswith("tests/"):
            continue
        text = (SOURCE / name).read_text()
        for tag in re.findall(r"^(?:typedef )?(?:struct|enum|union) (\w+) \{", text, re.M):
            if tag.startswith(("qr_", "quire_")):
                where.setdefault(tag, []).append(name)
    for tag, names in where.items():
        checked += 1
        if len(names) > 1:
            breach(names[1], 0, f"{tag} is defined in {names[0]} too")


def check_links():
    """Relative links in .md files, without their #fragment."""
    global checked
    for name in sources(".md"):
        if name.startswith("tests/data/"):
            continue
        for number, line in enumerate((SOURCE / name).read_text().splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if re.match(r"\w+:", target):
                    continue
                checked += 1
                if not ((SOURCE / name).parent / target).exists():
                    breach(name, number, f"{target} does not exist")


def check_notes():
    """docs/notes/README.md lists every note."""
    global checked
    index = (SOURCE / "docs/notes/README.md").read_text()
    for name in sources(".md"):
        if name.startswith("docs/notes/") and not name.endswith("/README.md"):
            checked += 1
            if f"({name.rsplit('/', 1)[1]})" not in index:
                breach("docs/notes/README.md", 0, f"does not list {name}")


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
            may = other in LAYERS[layer][1]
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
check_files()
check_names()
check_fields()
check_unsupported()
check_metrics()
check_layers()
check_tags()
check_links()
check_notes()
check_builds()
for b in breaches:
    print(b)
print(f"{checked} checks: {max(checked - len(breaches), 0)} passed, {len(breaches)} failed")
sys.exit(1 if breaches else 0)
