"""gpu_baseline.py MODEL REFERENCE.json [OURS]: the same model and texts by sentence-transformers (fp16, batches of 32, 256, 1024; one text) and by torch's scaled
dot product attention on ids (eager, compiled), on the GPU of this machine; what this device copies and multiplies at best; and a search by torch. Where there
is no sentence-transformers, what it does is done by transformers: texts sorted by length, tokenised, padded, the mean of the rows. OURS: tokens a second that
are to be compared, in millions. Prints as it goes, the most wanted first, so that what has been measured is not lost; what is not installed is named and left out.
"""
import json
import os
import statistics
import sys
import tempfile
import time
import traceback

MANY = 16384
TOKENS = 16384
WIDTH = 384


def say(text):
    print(text, flush=True)


def middle_of(rounds, work, wait, warm=1):
    times = []
    for i in range(-warm, rounds):
        wait()
        begun = time.perf_counter()
        work()
        wait()
        if i >= 0:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def write_json(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)


def model_folder(folder):
    """The folder as its publisher lays it out: with weights under the name that transformers looks for, and what sentence-transformers reads."""
    to = tempfile.mkdtemp(prefix="gpu-baseline-")
    for name in os.listdir(folder):
        link = "model.safetensors" if name.endswith(".safetensors") else name
        os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(to, link))
    kinds = (("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize"))
    write_json(to, "modules.json", [{"idx": int(i), "name": i, "path": path, "type": f"sentence_transformers.models.{kind}"} for i, path, kind in kinds])
    write_json(to, "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})
    write_json(to, "1_Pooling/config.json", {
        "word_embedding_dimension": WIDTH, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    os.makedirs(os.path.join(to, "2_Normalize"), exist_ok=True)
    if not os.path.exists(os.path.join(to, "tokenizer_config.json")):
        write_json(to, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512})
    return to


def ceilings(torch):
    many = 1 << 30
    a, b = torch.empty(many, dtype=torch.float16, device="cuda").normal_(), torch.empty(many, dtype=torch.float16, device="cuda")
    spent = middle_of(10, lambda: b.copy_(a), torch.cuda.synchronize, 3)
    say(f"this device copies {2 * 2 * many / spent * 1e-12:.2f} TB/s, read and written together")
    del a, b
    x, y = (torch.randn(8192, 8192, dtype=torch.float16, device="cuda") for _ in range(2))
    spent = middle_of(10, lambda: x @ y, torch.cuda.synchronize, 3)
    say(f"this device multiplies {2 * 8192 ** 3 / spent * 1e-12:.0f} TFLOP/s of 16-bit numbers")


class ByTransformers:
    """What SentenceTransformer.encode does, by transformers alone."""

    def __init__(self, torch, folder):
        from transformers import AutoTokenizer
        self.torch, self.tokenizer, self.model = torch, AutoTokenizer.from_pretrained(folder), load(torch, folder)

    def encode(self, texts, batch_size=32, convert_to_numpy=True):
        order, vectors = sorted(range(len(texts)), key=lambda i: -len(texts[i])), [None] * len(texts)
        for at in range(0, len(order), batch_size):
            some = order[at:at + batch_size]
            batch = self.tokenizer([texts[i] for i in some], padding=True, truncation=True, max_length=256, return_tensors="pt").to("cuda")
            with self.torch.inference_mode():
                rows = self.model(**batch).last_hidden_state.float()
                mask = batch["attention_mask"].unsqueeze(-1).float()
                mean = self.torch.nn.functional.normalize((rows * mask).sum(1) / mask.sum(1)).cpu().numpy()
            for i, vector in zip(some, mean):
                vectors[i] = vector
        return vectors


def sentence_transformers(torch, folder, rows, ours):
    texts, tokens = [row["text"] for row in rows], sum(len(row["ids"]) for row in rows)
    try:
        from sentence_transformers import SentenceTransformer, __version__ as version
        name, model = "sentence-transformers", SentenceTransformer(folder, device="cuda").half()
        say(f"sentence-transformers {version}")
    except ImportError as error:
        name, model = "transformers as sentence-transformers does", ByTransformers(torch, folder)
        say(f"sentence-transformers is not installed ({error}): {name}")
    vector = model.encode([rows[2]["text"]], convert_to_numpy=True)[0]
    off = max(abs(float(x) - y) for x, y in zip(vector, rows[2]["embedding"]))
    say(f"{name} fp16: largest difference of a vector to the reference {off:.1e}")
    if off > 1e-2:
        say(f"not measured: {name} computes something else")
        return
    model.encode(texts[:2048], batch_size=256)
    best = 0
    for batch in (1024, 256, 32):
        spent = middle_of(2, lambda size=batch: model.encode(texts, batch_size=size, convert_to_numpy=True), torch.cuda.synchronize, 0)
        best = max(best, tokens / spent * 1e-6)
        say(f"{name} fp16, batch {batch:4}: {tokens / spent * 1e-6:7.2f} M tokens/s, {len(texts) / spent:9.0f} texts/s, end to end")
    spent = middle_of(100, lambda: model.encode(["retry the failed step"], convert_to_numpy=True), torch.cuda.synchronize, 5)
    say(f"{name} fp16, one short text: {spent * 1e6:.0f} us")
    if ours > 0:
        say(f"goal   end to end, times the best of {name}: {ours / best:.2f}, at least 3: {'met' if ours / best >= 3 else 'MISSED'}")


def load(torch, folder):
    from transformers import AutoModel
    try:
        model = AutoModel.from_pretrained(folder, dtype=torch.float16, attn_implementation="sdpa")
    except TypeError:  # before it was renamed
        model = AutoModel.from_pretrained(folder, torch_dtype=torch.float16, attn_implementation="sdpa")
    return model.cuda().half().eval()


def measure(torch, name, run, lengths):
    for length in lengths:
        ids = torch.randint(1000, 21000, (TOKENS // length, length), device="cuda")
        with torch.inference_mode():
            spent = middle_of(10, lambda i=ids: run(input_ids=i), torch.cuda.synchronize, 3)
        say(f"torch SDPA fp16, {name:24} {length:3} tokens: {TOKENS / spent * 1e-6:7.2f} M tokens/s, encoder alone")


def eager(torch, folder):
    measure(torch, "eager,", load(torch, folder), (128, 32, 256))


def compiled(torch, folder, mode, lengths):
    torch.compiler.reset()
    measure(torch, f"compiled, {mode}," if mode != "default" else "compiled,", torch.compile(load(torch, folder), mode=mode, dynamic=False), lengths)


def search(torch):
    rows = torch.nn.functional.normalize(torch.randn(4 << 20, WIDTH, dtype=torch.float16, device="cuda"))
    for some in (1, 64):
        queries = rows[:some].clone()
        spent = middle_of(10, lambda q=queries: (q @ rows.T).topk(10), torch.cuda.synchronize, 3)
        say(f"torch (Q @ X.T).topk(10), {some:2} queries: {spent * 1e3:.2f} ms, {rows.numel() * 2 / spent * 1e-9:.0f} GB/s of rows")


def main():
    try:
        import torch
    except ImportError as error:
        say(f"not measured: torch is not installed ({error})")
        return
    if not torch.cuda.is_available():
        say("not measured: torch sees no GPU")
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        some = json.load(file)["texts"]
    rows = [some[i % len(some)] for i in range(MANY)]
    folder = model_folder(sys.argv[1])
    say(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    ours = float(sys.argv[3]) if len(sys.argv) > 3 else 0
    parts = (lambda: ceilings(torch), lambda: sentence_transformers(torch, folder, rows, ours), lambda: eager(torch, folder), lambda: search(torch),
             lambda: compiled(torch, folder, "default", (128,)), lambda: compiled(torch, folder, "max-autotune", (128,)),
             lambda: compiled(torch, folder, "default", (32, 256)))
    for part in parts:
        try:
            part()
            torch.cuda.empty_cache()
        except Exception as error:  # noqa: BLE001  a baseline that does not run must not hide the rest
            traceback.print_exc()
            say(f"not measured: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


main()
