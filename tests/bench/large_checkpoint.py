#!/usr/bin/env python3
"""Opens and streams checkpoints that are larger than memory, and prints what it cost.

  tests/bench/large_checkpoint.py path/to/moescope-cli FOLDER [--tokens 512] [--limit-gb 2]

Needs about 16 GB of disk in FOLDER; nothing but the standard library. FOLDER keeps the checkpoints for the next run:
  olmoe14   the shape of OLMoE-1B-7B, random weights, bfloat16, 13.8 GB (written by `moescope-cli synth checkpoint`)
  sparse60  a header of 60 GB over a file without blocks on the disk
Files are evicted from the page cache before a timed run, as far as the kernel allows a user to.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import threading
import time


def evict(folder):
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_sparse(folder):
    layers, hidden, width, experts, vocabulary = 33, 4096, 2048, 32, 50304
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden], "lm_head.weight": [vocabulary, hidden],
              "model.norm.weight": [hidden]}
    for layer in range(layers):
        below = f"model.layers.{layer}."
        for name in "qkvo":
            shapes[f"{below}self_attn.{name}_proj.weight"] = [hidden, hidden]
        for name in ("self_attn.q_norm", "self_attn.k_norm", "input_layernorm", "post_attention_layernorm"):
            shapes[f"{below}{name}.weight"] = [hidden]
        shapes[f"{below}mlp.gate.weight"] = [experts, hidden]
        for expert in range(experts):
            for name, shape in (("gate", [width, hidden]), ("up", [width, hidden]), ("down", [hidden, width])):
                shapes[f"{below}mlp.experts.{expert}.{name}_proj.weight"] = shape
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(folder)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": hidden,
                   "intermediate_size": width, "num_attention_heads": 32, "num_key_value_heads": 32,
                   "num_hidden_layers": layers, "num_experts": experts, "num_experts_per_tok": 4,
                   "vocab_size": vocabulary, "hidden_act": "silu", "tie_word_embeddings": False,
                   "torch_dtype": "bfloat16"}, file)


class Watch(threading.Thread):
    """Peaks of a process's private and mapped memory, and the bytes that it had read from the disk."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.anon, self.file, self.read, self.on = pid, 0, 0, 0, True

    def run(self):
        while self.on:
            try:
                with open(f"/proc/{self.pid}/status") as file:
                    fields = dict(line.split(":", 1) for line in file if ":" in line)
                self.anon = max(self.anon, int(fields["RssAnon"].split()[0]) * 1024)
                self.file = max(self.file, int(fields["RssFile"].split()[0]) * 1024)
                with open(f"/proc/{self.pid}/io") as file:
                    self.read = int(dict(line.split(":", 1) for line in file)["read_bytes"])
            except (OSError, KeyError, IndexError, ValueError):
                pass  # it has just ended
            time.sleep(0.01)


def timed(command):
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    watch.start()
    said = process.communicate()[1]
    watch.on = False
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{said}")
    return time.monotonic() - begin, watch, said


def cat_seconds(folder, most):
    """How long `most` bytes of the weights take to read and throw away."""
    evict(folder)
    begin, left = time.monotonic(), most
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        with open(os.path.join(folder, name), "rb", buffering=0) as file:
            while left > 0:
                got = len(file.read(min(left, 1 << 22)))
                if got == 0:
                    break
                left -= got
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("folder")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--limit-gb", type=float, default=2)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    big, sparse = os.path.join(options.folder, "olmoe14"), os.path.join(options.folder, "sparse60")
    if not os.path.exists(big):
        subprocess.run([options.cli, "synth", "checkpoint", "--family", "olmoe", "--layers", "16", "--hidden", "2048",
                        "--intermediate", "1024", "--experts", "64", "--k", "8", "--heads", "16", "--vocabulary",
                        "50304", "--dtype", "bfloat16", "--shard-mb", "5000", "--out", big], check=True)
    if not os.path.exists(sparse):
        write_sparse(sparse)
    for folder in (big, sparse):
        evict(folder)
        seconds, watch, _ = timed([options.cli, "info", folder])
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        print(f"open {os.path.basename(folder)}: {size / 1e9:.1f} GB, {seconds:.3f} s, read {watch.read / 1e6:.2f} MB",
              flush=True)

    draw = random.Random(1)
    ids = ",".join(str(draw.randrange(50304)) for _ in range(options.tokens))
    out = os.path.join(options.folder, "streamed.routes.safetensors")
    evict(big)
    seconds, watch, said = timed([options.cli, "capture", big, "--ids", ids, "--dtype", "bfloat16", "--memory-limit",
                                  str(options.limit_gb), "--force", "--out", out])
    print(f"stream {options.tokens} tokens under {options.limit_gb:g} GB: {seconds:.1f} s, private peak "
          f"{watch.anon / 1e9:.2f} GB, mapped peak {watch.file / 1e9:.2f} GB, read {watch.read / 1e9:.2f} GB")
    reading = cat_seconds(big, watch.read)
    warm, _, _ = timed([options.cli, "capture", big, "--ids", ids, "--dtype", "bfloat16", "--memory-limit",
                        str(options.limit_gb), "--force", "--out", out])
    print(f"reading those bytes alone: {reading:.1f} s; the same run with what the cache kept: {warm:.1f} s")
    print(f"over the larger of the two: {seconds / max(reading, warm):.2f}")
    print(said.strip())


if __name__ == "__main__":
    main()
