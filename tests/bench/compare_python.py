#!/usr/bin/python3
"""The fastest numpy formulations of the counts that counting_bench times, on the same trace files.

    compare_python.py TRACE.routes.safetensors… [--processes 2] [--tokens N] [--ours counting_bench.json]
    compare_python.py TRACE.routes.safetensors… --bench PATH/counting_bench [--repeats 5]

With --bench both take turns on each task, so that other work on the machine slows both alike; the ratios of processor
time of each turn are printed as median, least and most.

Load: np.bincount per layer. Co-activation: np.bincount of each of the k (k - 1) / 2 pairs of slots. Affinity:
np.bincount of each of the k x k pairs of slots of neighbouring layers. Each is run on whole layers and on blocks of
tokens that stay in the cache, and the faster one counts. numpy counts on one thread, so its second thread is a second
process that takes half of the layers; torch.bincount, where torch is installed, uses its own threads.
"""
import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
import numpy as np


def read_ids(path):
    """The ids of a trace file, mapped: [layer, token, slot]."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    entry = header["expert_ids"]
    rows = json.loads(header["__metadata__"]["moescope"])["rows"]
    kind = {"U8": np.uint8, "U16": np.uint16}[entry["dtype"]]
    ids = np.memmap(path, kind, "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"]))
    return ids, rows[0]["experts"]


def load(ids, experts, layers, block):
    tokens = ids.shape[1]
    for layer in layers:
        flat = ids[layer].reshape(-1)
        size = block * ids.shape[2] if block else flat.size
        total = np.zeros(experts, np.int64)
        for begin in range(0, flat.size, size):
            total += np.bincount(flat[begin:begin + size], minlength=experts)
    return tokens


def coactivation(ids, experts, layers, block):
    tokens, slots = ids.shape[1:]
    size = block or tokens
    for layer in layers:
        total = np.zeros(experts * experts, np.int64)
        for begin in range(0, tokens, size):
            columns = [ids[layer, begin:begin + size, s].astype(np.int64) for s in range(slots)]
            for i in range(slots):
                key = columns[i] * experts
                for j in range(i + 1, slots):
                    total += np.bincount(key + columns[j], minlength=experts * experts)
    return tokens


def affinity(ids, experts, layers, block):
    tokens, slots = ids.shape[1:]
    size = block or tokens
    for layer in layers:
        if layer + 1 >= ids.shape[0]:
            continue
        total = np.zeros(experts * experts, np.int64)
        for begin in range(0, tokens, size):
            first = [ids[layer, begin:begin + size, s].astype(np.int64) * experts for s in range(slots)]
            second = [ids[layer + 1, begin:begin + size, s].astype(np.int64) for s in range(slots)]
            for a in first:
                for b in second:
                    total += np.bincount(a + b, minlength=experts * experts)
    return tokens


TASKS = {"load": load, "co-activation": coactivation, "affinity": affinity}


def work(path, tokens, task, layers, block, ready, go, used):
    ids, experts = read_ids(path)
    ids = ids[:, :tokens]
    np.add.reduce(ids[layers[0]:layers[0] + 1], axis=None)  # the pages are in memory
    ready.release()
    go.wait()
    before = time.process_time()
    TASKS[task](ids, experts, layers, block)
    with used.get_lock():
        used.value += time.process_time() - before


def timed(path, tokens, layers, task, block, processes):
    """Wall time of all layers, shared among processes that are up and running when the clock starts, and their
    processor time divided by how many they are."""
    context = multiprocessing.get_context("fork")
    ready, go, used = context.Semaphore(0), context.Event(), context.Value("d", 0.0)
    shares = [list(range(layers * p // processes, layers * (p + 1) // processes)) for p in range(processes)]
    running = [context.Process(target=work, args=(path, tokens, task, share, block, ready, go, used)) for share in shares]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    begin = time.perf_counter()
    go.set()
    for process in running:
        process.join()
    return time.perf_counter() - begin, used.value / processes


def timed_torch(path, tokens):
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(2)
    ids, experts = read_ids(path)
    layers = [torch.from_numpy(np.ascontiguousarray(layer[:tokens]).astype(np.int32).reshape(-1)) for layer in ids]
    begin = time.perf_counter()
    for layer in layers:
        torch.bincount(layer, minlength=experts)
    return time.perf_counter() - begin


FORMULATIONS = (("whole layers", 0), ("blocks of 8192 tokens", 8192))


class Kernels:
    """counting_bench --serve on one trace."""

    def __init__(self, program, path, threads):
        self.process = subprocess.Popen([program, "--threads", str(threads), "--serve", path], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def seconds_per_token(self, kernels, task):
        self.process.stdin.write(f"{kernels} {task}\n")
        self.process.stdin.flush()
        _, processor, tokens = map(float, self.process.stdout.readline().split())
        return processor / tokens

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(path, tokens, layers, options):
    """Ratios of numpy's processor time per token to the kernels', turn by turn, with as many processes as threads."""
    kernels = Kernels(options.bench, path, options.processes)
    for task in TASKS:
        numpy_times, ratios = [], {name: [] for name in options.kernels}
        for name in options.kernels:
            kernels.seconds_per_token(name, task)  # the pages are in memory
        for _ in range(options.repeats):
            best = min(timed(path, tokens, layers, task, block, options.processes)[1] for _, block in FORMULATIONS)
            numpy_times.append(best / tokens)
            for name in options.kernels:
                ratios[name].append(numpy_times[-1] / min(kernels.seconds_per_token(name, task) for _ in range(3)))
        print(f"  {task:14} numpy {1 / min(numpy_times):.4g} tokens per second of {options.processes} processors")
        for name, values in ratios.items():
            print(f"  {task:14} {name:10} {statistics.median(values):6.1f} times the best numpy"
                  f"  ({min(values):.1f} to {max(values):.1f} in {len(values)} turns)", flush=True)
    kernels.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="+")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=100_000, help="tokens that are counted (0 = all)")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--bench", help="the program counting_bench, to take turns with")
    parser.add_argument("--kernels", nargs="+", default=["avx512", "avx2"], help="instruction sets, with --bench")
    parser.add_argument("--ours", help="what counting_bench --json wrote: ratios are printed")
    options = parser.parse_args()
    ours = json.load(open(options.ours))["shapes"] if options.ours else {}
    print(f"numpy {np.__version__}, {options.processes} processes; tokens per second by the clock, and by processor time")
    for path in options.traces:
        ids, experts = read_ids(path)
        layers, tokens, slots = ids.shape
        tokens = min(tokens, options.tokens or tokens)
        shape = f"{layers}x{experts}x{slots}"
        print(f"\n{shape}, {tokens} tokens of {path}", flush=True)
        if options.bench:
            take_turns(path, tokens, layers, options)
            continue
        for task in TASKS:
            figures = {}
            for name, block in FORMULATIONS:
                for processes in sorted({1, options.processes}):
                    runs = [timed(path, tokens, layers, task, block, processes) for _ in range(options.repeats)]
                    key = f"{name}, {processes} process" + ("es" if processes > 1 else "")
                    figures[key] = {"wall": tokens / min(r[0] for r in runs), "processor": tokens / min(r[1] for r in runs)}
            for name, rate in figures.items():
                print(f"  {task:14} {name:36} {rate['wall']:12.4g} {rate['processor']:12.4g}", flush=True)
            for kernels, mine in ours.get(shape, {}).items():
                if task not in mine or kernels == "plain loop":
                    continue
                times = {kind: mine[task][kind] / max(f[kind] for f in figures.values()) for kind in ("wall", "processor")}
                whole = mine[task]["processor"] / max(f["processor"] for n, f in figures.items() if n.startswith("whole"))
                print(f"  {task:14} {kernels:36} {mine[task]['wall']:12.4g} {mine[task]['processor']:12.4g}"
                      f"  {times['wall']:.1f} and {times['processor']:.1f} times the best numpy;"
                      f" {whole:.1f} times whole layers")
        rate = timed_torch(path, tokens)
        print(f"  load           torch.bincount (int32 ready)         {tokens / rate:12.4g}" if rate
              else "  torch is not installed for this Python")
    return 0


if __name__ == "__main__":
    sys.exit(main())
