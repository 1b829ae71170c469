"""embed_onnx.py MODEL OUT.onnx: a BERT model's folder as an ONNX graph in single precision, in the form that exporters write, so that ONNX Runtime's own
fusions find their patterns. Inputs: ids and mask, int64 [batch, length]; output: vectors [batch, width], mean of the masked rows, length 1.

Needs the standard library only: the protobuf of ONNX is written here (onnx.proto: the field numbers are its).
"""
import json
import struct
import sys
from array import array
from pathlib import Path

FLOAT, INT64 = 1, 7


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    if isinstance(value, float):
        return field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + field(20, 1)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, i) for i in value) + field(20, 7)


def tensor(name, dims, kind, raw):
    return b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) + field(9, raw)


def value_info(name, kind, dims):
    shape = b"".join(field(1, field(2, d)) if isinstance(d, str) else field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


class Graph:
    def __init__(self):
        self.nodes, self.tensors, self.count = [], [], 0

    def add(self, op, inputs, **attributes):
        self.count += 1
        out = f"{op}_{self.count}"
        self.nodes.append(b"".join(field(1, i) for i in inputs) + field(2, out) + field(3, out) + field(4, op) +
                          b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))
        return out

    def floats(self, name, dims, numbers):
        self.tensors.append(tensor(name, dims, FLOAT, array("f", numbers).tobytes()))
        return name

    def ints(self, name, numbers):
        self.tensors.append(tensor(name, [len(numbers)], INT64, struct.pack(f"<{len(numbers)}q", *numbers)))
        return name


class Weights:
    def __init__(self, path):
        self.file = path.read_bytes()
        size = struct.unpack_from("<Q", self.file)[0]
        self.rows = json.loads(self.file[8:8 + size])
        self.data = 8 + size

    def get(self, name):
        row = self.rows[name]
        begin, end = row["data_offsets"]
        letter, width = {"F16": ("e", 2), "F32": ("f", 4)}[row["dtype"]]
        return row["shape"], struct.unpack_from(f"<{(end - begin) // width}{letter}", self.file, self.data + begin)


def linear(g, w, x, name):
    (out, inner), numbers = w.get(name + ".weight")
    columns = [v for k in range(inner) for v in numbers[k::inner]]
    by = g.floats(name + ".weight", [inner, out], columns)
    bias = g.floats(name + ".bias", [out], w.get(name + ".bias")[1])
    return g.add("Add", [g.add("MatMul", [x, by]), bias])


def norm(g, w, x, name, epsilon):
    shape, scale = w.get(name + ".weight")
    names = [g.floats(f"{name}.{part}", shape, numbers) for part, numbers in (("weight", scale), ("bias", w.get(name + ".bias")[1]))]
    return g.add("LayerNormalization", [x, *names], axis=-1, epsilon=epsilon)


def attention(g, w, x, mask, layer, config):
    size = config["hidden_size"] // config["num_attention_heads"]
    parts = []
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        y = linear(g, w, x, f"{layer}.attention.self.{part}")
        parts.append(g.add("Transpose", [g.add("Reshape", [y, "shape_heads"]), ], perm=order))
    scores = g.add("Div", [g.add("MatMul", parts[:2]), g.floats(f"{layer}.root", [], [size ** 0.5])])
    shares = g.add("Softmax", [g.add("Add", [scores, mask])], axis=-1)
    mixed = g.add("Transpose", [g.add("MatMul", [shares, parts[2]])], perm=[0, 2, 1, 3])
    return linear(g, w, g.add("Reshape", [mixed, "shape_rows"]), f"{layer}.attention.output.dense")


def gelu(g, x):
    half = g.add("Mul", [x, g.add("Add", [g.add("Erf", [g.add("Div", [x, "root_two"])]), "one"])])
    return g.add("Mul", [half, "half"])


def build(w, config):
    g = Graph()
    width, heads = config["hidden_size"], config["num_attention_heads"]
    epsilon = config["layer_norm_eps"]
    g.ints("shape_heads", [0, 0, heads, width // heads])
    g.ints("shape_rows", [0, 0, width])
    for name, value in (("root_two", 2 ** 0.5), ("one", 1.0), ("half", 0.5), ("far", -10000.0), ("tiny", 1e-12)):
        g.floats(name, [], [value])
    for name, numbers in (("axis_1", [1]), ("axis_2", [2]), ("axes_12", [1, 2]), ("zero", [0]), ("two", [2])):
        g.ints(name, numbers)
    for table in ("word", "position"):
        name = f"embeddings.{table}_embeddings.weight"
        g.floats(name, *w.get(name))
    types = g.floats("type", [width], w.get("embeddings.token_type_embeddings.weight")[1][:width])
    length = g.add("Slice", [g.add("Shape", ["ids"]), "axis_1", "two"])
    positions = g.add("Slice", ["embeddings.position_embeddings.weight", "zero", length, "zero"])
    x = g.add("Add", [g.add("Add", [g.add("Gather", ["embeddings.word_embeddings.weight", "ids"]), types]), positions])
    x = norm(g, w, x, "embeddings.LayerNorm", epsilon)
    kept = g.add("Cast", ["mask"], to=FLOAT)
    mask = g.add("Mul", [g.add("Sub", ["one", g.add("Unsqueeze", [kept, "axes_12"])]), "far"])
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        x = norm(g, w, g.add("Add", [attention(g, w, x, mask, layer, config), x]), f"{layer}.attention.output.LayerNorm", epsilon)
        y = linear(g, w, gelu(g, linear(g, w, x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = norm(g, w, g.add("Add", [y, x]), f"{layer}.output.LayerNorm", epsilon)
    total = g.add("ReduceSum", [g.add("Mul", [x, g.add("Unsqueeze", [kept, "axis_2"])]), "axis_1"], keepdims=0)
    mean = g.add("Div", [total, g.add("ReduceSum", [kept, "axis_1"], keepdims=1)])
    long = g.add("Max", [g.add("ReduceL2", [mean, "axis_1"], keepdims=1), "tiny"])
    return g, g.add("Div", [mean, long])


def main():
    folder, out = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = next(folder / n for n in ("model.safetensors", "model.fp16.safetensors") if (folder / n).exists())
    g, vectors = build(Weights(weights), config)
    graph = b"".join(field(1, n) for n in g.nodes) + field(2, "bert") + b"".join(field(5, t) for t in g.tensors)
    graph += b"".join(field(11, value_info(n, INT64, ["batch", "length"])) for n in ("ids", "mask"))
    graph += field(12, value_info(vectors, FLOAT, ["batch", config["hidden_size"]]))
    model = field(1, 8) + field(8, field(1, "") + field(2, 18)) + field(7, graph)
    Path(out).write_bytes(model)


main()
