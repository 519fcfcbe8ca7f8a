#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_man BUILD -- compares docs/man with the programs' --help and with quire.h.

With --lint: runs `mandoc -T lint` on every page instead; exit status 77 without mandoc."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MAN = ROOT / "docs" / "man"
HEADER = (ROOT / "runtime" / "quire.h").read_text(encoding="utf-8")

# Sections of quire.1 that several commands share.
SHARED = {
    "generate": ["Sampling", "Server", "Model"],
    "chat": ["Sampling", "Server", "Model"],
    "tokenize": ["Server", "Model"],
    "detokenize": ["Server", "Model"],
    "inspect": [],
    "parse": [],
    "constrain": ["Model"],
    "bench": ["Model"],
    "top": ["Server"],
}


def help_of(*command):
    """Option: (argument, default) as --help has them."""
    text = subprocess.run([str(BUILD / command[0]), *command[1:], "--help"], capture_output=True,
                          text=True, check=True).stdout
    options = {}
    # An option begins a line; its text goes on in indented lines.
    for name, argument, words in re.findall(
            r"^  --([\w-]+)(?: (\S+))?(?:  +|\n {20,})((?:.|\n {20,})*)", text, re.M):
        words = " ".join(words.split())
        default = re.search(r"\bdefault:? (.*?)(?:: off)?\)?$", words)
        options[name] = (argument, default.group(1) if default else "")
    return options


def page_of(name):
    """Section: {option: (argument, default)} as the manual page has them."""
    sections, option, section = {}, None, ""
    for line in (MAN / name).read_text(encoding="utf-8").splitlines():
        if line.startswith((".Ss ", ".Sh ")):
            section, option = line[4:], None
        elif line.startswith(".It "):
            found = re.fullmatch(r"\.It Fl -([\w-]+)(?: Ar (.+))?", line)
            option = found and found.group(1)
            if option:
                options = sections.setdefault(section, {})
                if option in options:
                    raise ValueError(f"{name}: --{option} occurs twice in {section}")
                options[option] = (found.group(2) or "", "")
        elif line.startswith("Default: ") and option:
            argument, _ = sections[section][option]
            sections[section][option] = (argument, line[len("Default: "):].removesuffix("."))
    return sections


def union(sections):
    return {name: option for section in sections for name, option in section.items()}


class Options(unittest.TestCase):
    """Goal: manual pages and --help have the same options, arguments and defaults.
    Method: read both and compare."""

    maxDiff = None

    def same(self, command, page):
        printed = help_of(*command)
        self.assertIn("help", printed)
        for name in sorted(printed.keys() | page.keys()):
            with self.subTest(command=" ".join(command), option=name):
                self.assertEqual(page.get(name), printed.get(name))

    def test_quired(self):
        self.same(["quired"], union(page_of("quired.1").values()))

    def test_loadgen(self):
        self.same(["loadgen"], union(page_of("loadgen.1").values()))

    def test_every_command_of_quire(self):
        listed = subprocess.run([str(BUILD / "quire"), "--help"], capture_output=True, text=True,
                                check=True).stdout
        self.assertEqual(re.findall(r"^  (\w+)  ", listed, re.M), list(SHARED))
        page = page_of("quire.1")
        for command, shared in SHARED.items():
            sections = [page[f"quire {command}"]] + [page[name] for name in shared]
            self.same(["quire", command], union(sections))


class Library(unittest.TestCase):
    maxDiff = None

    def test_functions_are_those_of_the_header(self):
        """Goal: libquire.3 has every function of quire.h, with its types.
        Method: compare the prototypes."""
        code = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
        wanted = [(" ".join(t.split()), name, [" ".join(a.split()) for a in arguments.split(",")])
                  for t, name, arguments in re.findall(
                      r"(?:QUIRE_API|static inline)\s+((?:const )?\w+ ?\*?)\s*(quire_\w+)\(([^)]*)\)",
                      code) if not name.endswith("_sized")]
        page = (MAN / "libquire.3").read_text(encoding="utf-8")
        synopsis = page[page.index(".Sh SYNOPSIS"):page.index(".Sh DESCRIPTION")]
        found = []
        for block in synopsis.split("\n.Ft ")[1:]:
            kind, first, *rest = block.splitlines()
            name, *arguments = first.split()[1:]
            arguments += [line[4:].strip('"') for line in rest if line.startswith(".Fa ")]
            found.append((kind.strip('"'), name, arguments))
        self.assertEqual(found, wanted)

    def test_statuses_are_those_of_the_header(self):
        """Goal: libquire.3 lists every status.
        Method: compare with the map of statuses."""
        page = (MAN / "libquire.3").read_text(encoding="utf-8")
        errors = page[page.index(".Sh ERRORS"):page.index(".Sh SEE ALSO")]
        self.assertEqual(re.findall(r"^\.It Dv (\w+)$", errors, re.M),
                         re.findall(r"\bX\((QUIRE_\w+), -?\d+,", HEADER))

    def test_the_example_compiles(self):
        """Goal: the example of libquire.3 is a program.
        Method: compile it with every warning as an error."""
        page = (MAN / "libquire.3").read_text(encoding="utf-8")
        program = page.split(".Bd -literal\n")[1].split("\n.Ed")[0].replace(r"\e", "\\")
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "example.c"
            source.write_text(program + "\n")
            done = subprocess.run(
                ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I",
                 str(ROOT / "runtime"), "-c", str(source), "-o", str(source.with_suffix(".o"))],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)


def lint():
    if not shutil.which("mandoc"):
        print("skipped: mandoc is not installed")
        return 77
    complaints = 0
    for page in sorted(MAN.iterdir()):
        # In the pages' folder, where mandoc finds those that they refer to.
        done = subprocess.run(["mandoc", "-T", "lint", page.name], cwd=MAN, capture_output=True,
                              text=True, check=False)
        print(done.stdout + done.stderr, end="")
        complaints += bool(done.stdout or done.returncode)
    return 1 if complaints else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--lint"]:
        sys.exit(lint())
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
