"""Messages made from the JSON Schemas of MCP: every request and notification of a revision, whole, and with something wrong in each place.

    maker = Maker(path_of_schema, random.Random(seed))
    for name, message in maker.whole(): ...           one for each definition, with all that it may hold
    maker.broken(message)                             the same with one to three places spoilt: bytes, as they would be sent

What a field is called decides what it gets where the schema leaves it open: names of tools, URIs and versions are often ones that there are, so
that what follows is reached. Does not say what a server should answer.
"""
import copy
import json

META = "io.modelcontextprotocol/"
DEPTH = 6
FIRST_ID = 10**6  # of whole requests; no spoilt field names one of them, so that nothing cancels them
DEEP = 300  # levels of a nested value: more than anything takes
KNOWN = {
    "protocolVersion": ["2026-07-28", "2025-11-25", "2025-06-18", "1999-01-01"],
    META + "protocolVersion": ["2026-07-28"],
    "name": ["greet", "pawl_search", "pawl_describe", "pawl_status", "pawl_start", "test_prompt_with_arguments", "arg1"],
    "uri": ["test://static-text", "pawl://runs/x", "pawl://runs/x/history", "test://template/7/data", "test://none"],
    "cursor": ["x"],
    "workflow": ["greet"],
}
ARGUMENTS = [{"name": "Ada"}, {"query": "a run"}, {"workflow": "greet", "input": {"name": "Ada"}}, {"run_id": "x"}, {"arg1": "a", "arg2": "b"}, {}]
# Of the extension, whose schema is no part of the revision's.
TASKS = {f"Tasks{name}": {"type": "object", "properties": {
    "jsonrpc": {"const": "2.0"}, "id": {"type": ["string", "integer"]}, "method": {"const": f"tasks/{name}"},
    "params": {"type": "object", "properties": {"_meta": {"$ref": "#/$defs/RequestMetaObject"}, "taskId": {"type": "string"},
                                                "inputResponses": {"type": "object", "additionalProperties": {"type": "object"}}}}}}
         for name in ("get", "update", "cancel")}


class Maker:
    def __init__(self, path, rng):
        with open(path, encoding="utf-8") as file:
            self.schema = json.load(file)
        self.rng = rng
        self.defs = self.schema.get("$defs") or self.schema.get("definitions")
        if "RequestMetaObject" in self.defs:
            self.defs = {**self.defs, **TASKS}
        self.names = [n for n, s in self.defs.items() if "const" in s.get("properties", {}).get("method", {})]
        self.number = FIRST_ID
        self.known = dict(KNOWN)
        if "RequestMetaObject" in self.defs:
            self.known["name"] = [*KNOWN["name"], "confirm_delete"]  # in an older revision the call would wait for the answer to its question

    # ---- whole ----

    def whole(self):
        for name in self.names:
            yield name, self.one(name)

    def one(self, name):
        message = self.value(self.defs[name], "", DEPTH)
        message["jsonrpc"] = "2.0"
        if name.endswith("Request") or name in TASKS:
            self.number += 1
            message["id"] = self.number
        return message

    def value(self, schema, key, depth):
        if "$ref" in schema:
            return self.value(self.defs[schema["$ref"].split("/")[-1]], key, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.value(self.rng.choice(schema[several]), key, depth)
        if "allOf" in schema:
            parts = [self.value(s, key, depth) for s in schema["allOf"]]
            return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = self.rng.choice(kind) if isinstance(kind, list) else kind
        return getattr(self, "make_" + kind)(schema, key, depth)

    def make_object(self, schema, key, depth):
        if key == "arguments":
            return dict(self.rng.choice(ARGUMENTS))
        required = schema.get("required", [])
        made = {k: self.value(s, k, depth - 1) for k, s in schema.get("properties", {}).items()
                if k in required or (depth > 0 and self.rng.random() < 0.8)}
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict) and depth > 0:
            made.update({f"k{i}": self.value(rest, "", depth - 1) for i in range(self.rng.randrange(3))})
        return made

    def make_array(self, schema, key, depth):
        return [self.value(schema.get("items", {}), key, depth - 1) for _ in range(self.rng.randrange(3) if depth > 0 else 0)]

    def make_string(self, schema, key, _):
        if key in self.known:
            return self.rng.choice(self.known[key])
        if schema.get("format") == "byte":
            return "aGVsbG8="
        return "http://127.0.0.1/" if schema.get("format") == "uri" else self.rng.choice(["x", "", "a word", "\u00e4\u2028", "1"])

    def make_integer(self, *_):
        return self.rng.choice([0, 1, 50, 100000])

    make_number = make_integer

    def make_boolean(self, *_):
        return self.rng.random() < 0.5

    def make_null(self, *_):
        return None

    # ---- broken ----

    def wrong(self):
        deep = 0
        for _ in range(self.rng.choice((3, DEEP))):
            deep = [deep] if self.rng.random() < 0.5 else {"d": deep}
        return self.rng.choice([None, True, -1, 0, 2**53 + 1, -(2**63), 2**64, 10**300, 1.5, 1e308, "", "x" * self.rng.choice((1, 300, 70000)), "\u0000",
                                "\ud800", "../../etc/passwd", "%00%ff", "=?base64?!?=", [], [None], {}, {"": None}, {"$ref": "#"}, deep,
                                "2026-07-28", ["2026-07-28"], {"type": "object"}, "notifications/cancelled", "pawl://runs/", "test://template//data"])

    def places(self, value, found, above=()):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found.append((*above, key))
            if isinstance(inner, (dict, list)):
                self.places(inner, found, (*above, key))
        return found

    def spoil(self, message):
        places = self.places(message, [])
        if not places:
            return
        *above, key = self.rng.choice(places)
        holder = message
        for step in above:
            holder = holder[step]
        what = self.rng.randrange(4)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[self.rng.choice(["", "x", "id", "method", "_meta", "$mcp", "\u0000"])] = self.wrong()
        else:
            holder[key] = self.wrong()

    def broken(self, message):
        message = copy.deepcopy(message)
        for _ in range(self.rng.randrange(1, 4)):
            self.spoil(message)
        return self.bytes_of(message)

    def bytes_of(self, message):
        """Mostly as JSON has it; now and then cut, doubled, or not JSON at all. Never a line end."""
        data = json.dumps(message, ensure_ascii=self.rng.random() < 0.5).encode("utf-8", "surrogatepass")
        what = self.rng.randrange(24)
        at = self.rng.randrange(len(data))
        if what == 0:
            data = data[:at]
        elif what == 1:
            data = data[:at] + bytes([self.rng.choice((0, 0x22, 0x5c, 0x7d, 0x80, 0xff, 0x2c))]) + data[at + 1:]
        elif what == 2:
            data = b"[" + data + b"," + data + b"]"
        elif what == 3:
            data = b'{"id":1,' + data[1:]
        elif what == 4:
            data = data + data
        return data.replace(b"\n", b" ").replace(b"\r", b" ")
