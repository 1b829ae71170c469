"""gpu_baseline.py MODEL REFERENCE.json: the same model and texts by sentence-transformers (fp16, batches of 32, 256, 1024) and by torch's scaled dot product
attention on ids (eager, compiled), on the GPU of this machine. Prints a table; what is not installed is named and left out.
"""
import json
import os
import sys
import tempfile
import time

MANY = 16384
TOKENS = 16384


def best_of(rounds, work, wait):
    best = 1e9
    for _ in range(rounds):
        wait()
        begun = time.perf_counter()
        work()
        wait()
        best = min(best, time.perf_counter() - begun)
    return best


def model_folder(folder):
    """The folder with its weights under the name that transformers looks for."""
    to = tempfile.mkdtemp(prefix="gpu-baseline-")
    for name in os.listdir(folder):
        link = "model.safetensors" if name.endswith(".safetensors") else name
        os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(to, link))
    return to


def sentence_transformers(torch, folder, texts, tokens):
    from sentence_transformers import SentenceTransformer, models
    words = models.Transformer(folder, max_seq_length=256)
    model = SentenceTransformer(modules=[words, models.Pooling(words.get_word_embedding_dimension(), "mean"), models.Normalize()], device="cuda").half()
    model.encode(texts[:256], batch_size=64)
    for batch in (32, 256, 1024):
        spent = best_of(2, lambda size=batch: model.encode(texts, batch_size=size, convert_to_numpy=True), torch.cuda.synchronize)
        print(f"sentence-transformers fp16, batch {batch:4}: {tokens / spent * 1e-6:7.2f} M tokens/s, {len(texts) / spent:9.0f} texts/s, end to end")


def torch_alone(torch, folder):
    from transformers import AutoModel
    model = AutoModel.from_pretrained(folder, torch_dtype=torch.float16, attn_implementation="sdpa").cuda().eval()
    for name, run in (("eager", model), ("compiled", torch.compile(model, mode="max-autotune-no-cudagraphs"))):
        for length in (32, 128, 256):
            ids = torch.randint(1000, 21000, (TOKENS // length, length), device="cuda")
            mask = torch.ones_like(ids)
            with torch.inference_mode():
                for _ in range(3):
                    run(input_ids=ids, attention_mask=mask)
                spent = best_of(10, lambda f=run, i=ids, m=mask: f(input_ids=i, attention_mask=m), torch.cuda.synchronize)
            print(f"torch SDPA fp16 {name:8}, {length:3} tokens: {TOKENS / spent * 1e-6:7.2f} M tokens/s, encoder alone")


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        rows = json.load(file)["texts"]
    texts = [rows[i % len(rows)]["text"] for i in range(MANY)]
    tokens = sum(rows[i % len(rows)]["n_tokens"] for i in range(MANY))
    try:
        import torch
    except ImportError:
        print("not measured: torch is not installed")
        return
    if not torch.cuda.is_available():
        print("not measured: torch sees no GPU")
        return
    folder = model_folder(sys.argv[1])
    for what in (lambda: sentence_transformers(torch, folder, texts, tokens), lambda: torch_alone(torch, folder)):
        try:
            what()
        except Exception as error:  # noqa: BLE001  a baseline that does not run must not hide the rest
            print(f"not measured: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


main()
