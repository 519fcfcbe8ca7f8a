#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""generate SOCKET CASES.jsonl [--schemas 200] [--each 50] [--seed 1] [--max-tokens 512]

Generates texts for JSON Schemas on a server at temperature 1 and validates each finished one with
PyPI's jsonschema.  A deep run: 10,000 generations by default.  CASES has lines with `name` and
`schema`; schemas are drawn from those that the server does not refuse.  Prints the counts as JSON;
exit status 1: a finished text does not parse or validate, or a request failed."""
import argparse
import concurrent.futures
import http.client
import json
import random
import socket
import sys
import time

import jsonschema


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, schema, seed, max_tokens):
    """One completion: (status, answer)."""
    connection = Connection(path)
    body = {"prompt": "A JSON document:\n", "max_tokens": max_tokens, "temperature": 1,
            "seed": seed, "response_format": {"type": "json_schema",
                                              "json_schema": {"name": "x", "schema": schema}}}
    connection.request("POST", "/v1/completions", json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def check(answer, validator):
    """What is wrong with an answer, or whether it was cut."""
    choice = answer["choices"][0]
    if choice["finish_reason"] == "length":
        return "length"
    try:
        value = json.loads(choice["text"])
    except ValueError as error:
        return f"does not parse: {error}"
    error = next(validator.iter_errors(value), None)
    return f"does not validate: {error.message[:200]}" if error else "stop"


def choose(options):
    """Schemas that the server takes, each with a validator."""
    with open(options.cases, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    random.Random(options.seed).shuffle(cases)
    chosen, refused = [], 0
    for case in cases:
        if len(chosen) == options.schemas:
            break
        kind = jsonschema.validators.validator_for(case["schema"],
                                                   jsonschema.Draft202012Validator)
        try:
            kind.check_schema(case["schema"])
        except jsonschema.SchemaError:
            continue
        status, _ = ask(options.socket, case["schema"], 0, 1)
        if status == 200:
            chosen.append((case["name"], case["schema"], kind(case["schema"])))
        else:
            refused += 1
    return chosen, refused


def main():
    """Runs the generations and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("cases")
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--at-once", type=int, default=32)
    options = parser.parse_args()
    chosen, refused = choose(options)
    counts = {"schemas": len(chosen), "refused": refused, "stop": 0, "length": 0, "failed": 0}
    begin = time.monotonic()

    def one(item):
        (name, schema, validator), seed = item
        status, answer = ask(options.socket, schema, seed, options.max_tokens)
        return name, seed, (check(answer, validator) if status == 200
                            else f"status {status}: {answer}")

    work = [(case, options.seed + i) for i in range(options.each) for case in chosen]
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        for name, seed, verdict in pool.map(one, work):
            if verdict not in ("stop", "length"):
                print(f"{name} with seed {seed}: {verdict}", file=sys.stderr)
            counts[verdict if verdict in counts else "failed"] += 1
    counts["seconds"] = round(time.monotonic() - begin, 1)
    print(json.dumps(counts))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
