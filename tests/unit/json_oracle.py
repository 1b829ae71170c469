#!/usr/bin/env python3
"""Compares the JSON transcoder with Python's json module (and jansson, where it was built in) on generated and hostile documents.

json_oracle.py ECHO [SEED] [COUNT]: both must accept or refuse a text alike, and agree on the value; known differences are named here.
"""
import json
import math
import os
import random
import subprocess
import sys

KNOWN = "NaN and Infinity (Python takes them), lone surrogates and NUL (Python takes them), depth over 128, huge exponents (Python: inf)"


def refuse(word):
    raise ValueError(word)


def has_odd(v):
    if isinstance(v, str):
        return "\0" in v or any(0xD800 <= ord(c) < 0xE000 for c in v)
    if isinstance(v, float):
        return math.isinf(v) or math.isnan(v)
    if isinstance(v, Pairs):
        return any(has_odd(k) or has_odd(x) for k, x in v.pairs) or is_bytes(v)
    return isinstance(v, list) and any(has_odd(x) for x in v)


class Pairs:
    """Keeps order and duplicates, as the transcoder does."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __eq__(self, other):
        return isinstance(other, Pairs) and self.pairs == other.pairs


def is_bytes(v):
    return len(v.pairs) == 1 and v.pairs[0][0] == "$bytes"


def load(text):
    return json.loads(text, object_pairs_hook=Pairs, parse_constant=refuse)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, Pairs):
        return len(a.pairs) == len(b.pairs) and all(k == q and same(x, y) for (k, x), (q, y) in zip(a.pairs, b.pairs))
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and a == b
    return a == b


def generate(rng, depth=0):
    kind = rng.randrange(9 if depth < 6 else 7)
    if kind == 0:
        return rng.choice(["null", "true", "false"])
    if kind <= 2:
        return str(rng.randrange(-(10 ** rng.randrange(1, 25)), 10 ** rng.randrange(1, 25)))
    if kind == 3:
        return repr(rng.uniform(-1, 1) * 10 ** rng.randrange(-300, 300))
    if kind <= 6:
        chars = [rng.choice(["a", "\\n", '\\"', "\\u00e9", "é", "€", "😀", "\\ud83d\\ude00", " ", "/"]) for _ in range(rng.randrange(0, 40))]
        return '"' + "".join(chars) + '"'
    space = rng.choice(["", " ", "\n", "\t"])
    inner = [generate(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 3, 4, 20 if depth == 0 else 5]))]
    if kind == 7:
        return "[" + space + ("," + space).join(inner) + "]"
    return "{" + ",".join('"k%d"%s:%s%s' % (rng.randrange(30), space, space, v) for v in inner) + "}"


def mutate(rng, raw):
    raw = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw)) if raw else 0
        what = rng.randrange(3)
        if what == 0 and raw:
            raw[at] = rng.choice(b'{}[]",:\\u019eE+-.tfn \xff\xc3')
        elif what == 1:
            raw.insert(at, rng.choice(b'{}[]",:0 '))
        elif raw:
            del raw[at]
    return bytes(raw).replace(b"\n", b" ")


def documents(rng, count):
    for i in range(count):
        raw = generate(rng).encode()
        yield raw if i % 2 == 0 else mutate(rng, raw)


def judge(raw, answer):
    ok, jansson, text = answer[0] == "=", answer[1], answer[2:]
    try:
        ours = load(raw.decode("utf-8"))
        theirs_ok = True
    except (ValueError, RecursionError):
        theirs_ok, ours = False, None
    if theirs_ok and has_odd(ours):
        return None  # known differences, see KNOWN
    if ok != theirs_ok:
        return "pawl %s it, Python %s" % ("takes" if ok else "refuses", "takes it" if theirs_ok else "refuses")
    if ok and not same(load(text), ours):
        return "another value: %s" % text[:200]
    if jansson != "?" and (jansson == "y") != ok and b"e" not in raw.lower() and len(raw) < 200 and not big(raw):
        return "pawl %s it, jansson %s" % ("takes" if ok else "refuses", "takes it" if jansson == "y" else "refuses")
    return None


def big(raw):
    digits = 0
    for c in raw:
        digits = digits + 1 if 48 <= c < 58 else 0
        if digits > 18:
            return True
    return False


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    count = int(sys.argv[3]) if len(sys.argv) > 3 else (200000 if os.environ.get("PAWL_LONG") else 12000)
    docs = list(documents(random.Random(seed), count))
    lines = "\n".join(d.hex() for d in docs) + "\n"
    out = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, encoding="utf-8", check=True).stdout.split("\n")
    bad = 0
    for raw, answer in zip(docs, out):
        why = judge(raw, answer) if raw else None
        if why:
            bad += 1
            print("FAILED: %s\n  text: %r" % (why, raw[:300]))
    print("%d documents, %d disagreements (left out: %s)" % (len(docs), bad, KNOWN))
    if bad:
        print("again: json_oracle.py ECHO %d %d" % (seed, count))
    sys.exit(1 if bad or len(out) < len(docs) else 0)


main()
