"""Runs moescope-cli and, where it is installed, transformers on one checkpoint and prints what agrees and how fast."""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import time


def read_tensor(path, name):
    """Values of an integer tensor of a trace, read with nothing but the standard library."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        entry = header[name]
        base = file.tell()
        begin, end = entry["data_offsets"]
        file.seek(base + begin)
        data = file.read(end - begin)
    code = {"U8": "B", "U16": "H", "I32": "i"}[entry["dtype"]]
    return entry["shape"], struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)


def ids_tensor_name(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return next(name for name in header if name.split(".")[-1] in ("expert_ids", "ids"))


def capture(args, sequences, dtype, out, extra=()):
    jsonl = os.path.join(args.work, "ids.jsonl")
    with open(jsonl, "w") as file:
        for ids in sequences:
            file.write(json.dumps({"ids": ids}) + "\n")
    longest = str(max(len(ids) for ids in sequences))
    done = subprocess.run([args.cli, "capture", args.checkpoint, "--jsonl", jsonl, "--sequence-length", longest,
                           "--dtype", dtype, "--out", out, "--force", "--json", *extra],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    for name in ("cli", "checkpoint", "work", "gpu"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    config = json.load(open(os.path.join(args.checkpoint, "config.json")))
    random.seed(1)
    draw = lambda n: [random.randrange(config["vocab_size"]) for _ in range(n)]
    batches = [(1, 2048), (16, 2048)] if args.gpu == "yes" else [(1, 256), (4, 256)]

    prompt = draw(256)
    trace = os.path.join(args.work, "float32.routes.safetensors")
    capture(args, [prompt], "float32", trace)
    shape, ours = read_tensor(trace, ids_tensor_name(trace))
    print("ours: ids of", shape, "in float32")

    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as missing:
        print("transformers: not measured,", missing)
        AutoModelForCausalLM = None
    device = "cuda" if args.gpu == "yes" else "cpu"

    if AutoModelForCausalLM:
        torch.backends.cuda.matmul.allow_tf32 = False
        model = AutoModelForCausalLM.from_pretrained(args.checkpoint, torch_dtype=torch.float32).to(device).eval()
        with torch.no_grad():
            out = model(torch.tensor([prompt], device=device), output_router_logits=True)
        k, wrong = config["num_experts_per_tok"], 0
        for layer, logits in enumerate(out.router_logits):
            theirs = torch.topk(logits.float().cpu(), k, dim=-1).indices.tolist()
            for token, row in enumerate(theirs):
                at = (layer * len(prompt) + token) * k
                wrong += set(row) != set(ours[at:at + k])
        print(f"ids differ in {wrong} of {len(prompt) * len(out.router_logits)} rows")
        del model

    for count, length in batches:
        sequences = [draw(length) for _ in range(count)]
        out = os.path.join(args.work, "bf16.routes.safetensors")
        rates = []
        for extra in ((), ("--no-gate-weights", "--no-loss")):
            summary = capture(args, sequences, "bfloat16", out, extra)
            rates.append(summary["tokens"] / summary["seconds"])
        print(f"ours {count}x{length} bf16: {rates[0]:.0f} tokens/s with weights and loss, {rates[1]:.0f} with ids alone")
        if not AutoModelForCausalLM:
            continue
        best = None
        for experts in ("grouped_mm", "batched_mm", "eager", None):
            try:
                options = {"experts_implementation": experts} if experts else {}
                model = AutoModelForCausalLM.from_pretrained(args.checkpoint, torch_dtype=torch.bfloat16, **options)
                model = model.to(device).eval()
                batch = torch.tensor(sequences, device=device)
                with torch.no_grad():
                    model(batch, logits_to_keep=1)
                    begin = time.perf_counter()
                    model(batch, logits_to_keep=1)
                    if device == "cuda":
                        torch.cuda.synchronize()
                rate = count * length / (time.perf_counter() - begin)
                print(f"transformers {count}x{length} bf16 {experts or 'default'}: {rate:.0f} tokens/s")
                best = max(best or 0, rate)
                del model
            except Exception as reason:  # an implementation that this version does not have
                print(f"transformers {experts or 'default'}: {str(reason).splitlines()[0]}", file=sys.stderr)
        if best:
            print(f"ours / transformers at {count}x{length}: {rates[0] / best:.2f}")


if __name__ == "__main__":
    main()
