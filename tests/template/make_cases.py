#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders templates with jinja2 into tests/data/templates/{language,conversations}.json.

usage: make_cases.py        (needs jinja2 3.1 from PyPI; the build, the tests and quire do not)

The environment is that of transformers' apply_chat_template (utils/chat_template_utils.py): a sandbox
with immutable values, trim_blocks and lstrip_blocks, loop controls, {% generation %}, its tojson,
raise_exception and strftime_now.  The time is fixed.
"""
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from language import CASES, VARIABLES

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "templates"
NOW = 1735689600 + 26 * 86400 + 3600 * 15  # 2025-01-27 15:00:00 UTC


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _run(self, context, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(
            tzinfo=None).strftime(form)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(source, variables):
    try:
        return {"text": environment().from_string(source).render(**variables)}
    except jinja2.exceptions.TemplateError as e:
        return {"error": str(e), "raised": type(e) is jinja2.exceptions.TemplateError}
    except Exception as e:  # Python's own: TypeError, ZeroDivisionError ...
        return {"error": f"{type(e).__name__}: {e}", "raised": False}


# ---- conversations -------------------------------------------------------------------------------

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location, e.g. \"Zürich\"",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city's name"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "default": 1},
            },
            "required": ["location"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "now", "description": "The time",
                                         "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "abcdef123", "type": "function",
        "function": {"name": "get_current_weather",
                     "arguments": {"location": "Paris", "unit": "celsius", "days": 2}}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


CONVERSATIONS = {
    "one": {"messages": [user("Hello!")]},
    "system": {"messages": [system("You are terse."), user("Why is the sky blue?")]},
    "turns": {"messages": [user("What is 2+2?"), assistant("4"), user("Times 10?"),
                           assistant("40"), user("Thanks")]},
    "system_turns": {"messages": [system("Be nice.\nAlways."), user("a"), assistant("b"),
                                  user("c")]},
    "ended": {"messages": [user("Hi"), assistant("Hello there.")], "add_generation_prompt": False},
    "spaces": {"messages": [system("  padded \n"), user("\n  both ends  \t\n"),
                            assistant("  answer \n"), user(" x ")]},
    "empty": {"messages": [user(""), assistant(""), user("")]},
    "unicode": {"messages": [system("Sprich über Zürich. 你好 🙂"), user("Ünïcödé 👩‍👩‍👧 \u00a0\u2028 ok"),
                             assistant("<b>\"quoted\" & 'single'</b>"), user("{{ not }} {% a tag %}")]},
    "tools": {"messages": [system("Use tools."), user("Weather in Paris?")],
              "tools": [WEATHER, TIME]},
    "tool_call": {"messages": [user("Weather in Paris?"),
                               {"role": "assistant", "content": "", "tool_calls": [CALL]},
                               {"role": "tool", "name": "get_current_weather",
                                "tool_call_id": "abcdef123", "content": "{\"temp\": 21.5}"}],
                  "tools": [WEATHER]},
    "tool_call_answered": {"messages": [user("Weather in Paris?"),
                                        {"role": "assistant", "content": "", "tool_calls": [CALL]},
                                        {"role": "tool", "name": "get_current_weather",
                                         "tool_call_id": "abcdef123", "content": "21.5"},
                                        assistant("21.5 degrees."), user("And tomorrow?")],
                           "tools": [WEATHER, TIME]},
    "wrong_order": {"messages": [assistant("first"), user("second"), user("third")]},
    "thinking": {"messages": [user("Think."), assistant("<think>\nhm\n</think>\n\nDone."),
                              user("Again")], "enable_thinking": False},
}

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


def conversations():
    made = []
    for path in sorted(DATA.glob("*.jinja")):
        source = path.read_bytes().decode("utf-8")
        for name, conversation in CONVERSATIONS.items():
            variables = {"tools": None, "documents": None, "add_generation_prompt": True,
                         **SPECIAL, **conversation}
            made.append({"template": path.name, "conversation": name,
                         **render(source, variables)})
    inputs = {name: {"tools": None, "documents": None, "add_generation_prompt": True, **SPECIAL, **c}
              for name, c in CONVERSATIONS.items()}
    return {"jinja2": jinja2.__version__, "now": NOW, "inputs": inputs, "cases": made}


def language():
    cases = [{"template": source, **render(source, VARIABLES)} for source in CASES]
    return {"jinja2": jinja2.__version__, "now": NOW, "variables": VARIABLES, "cases": cases}


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, indent=0)
    (DATA / name).write_text(text + "\n", encoding="utf-8")


def main():
    made, cases = conversations(), language()
    write("conversations.json", made)
    write("language.json", cases)
    for what, all_of in (("conversations", made["cases"]), ("language", cases["cases"])):
        errors = sum("error" in c for c in all_of)
        print(f"{what}: {len(all_of)} cases, {errors} of them errors")
    raise SystemExit(0)


if __name__ == "__main__":
    main()
