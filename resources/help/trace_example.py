"""Write and read a MoEScope trace with numpy alone. The format: trace-file.md.

    python3 trace_example.py write OUT.routes.safetensors
    python3 trace_example.py read IN.routes.safetensors
"""
import json
import struct
import sys

import numpy as np

TYPES = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4",
         "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def write_trace(path, arrays, about):
    """Writes named arrays and what the trace says about itself (the JSON `moescope`)."""
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize))  # keeps every array aligned
    header, end = {"__metadata__": {"moescope": json.dumps(about)}}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [end, end + a.nbytes]}
        end += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            file.write(a.tobytes())


def read_trace(path):
    """Returns the arrays, mapped and not read, and the JSON. BF16 arrays come as their 16 bits (U16)."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    about = json.loads(header.pop("__metadata__")["moescope"])
    data = np.memmap(path, np.uint8, "r")[8 + size:]
    arrays = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        arrays[name] = data[begin:end].view(TYPES.get(t["dtype"], "<u2")).reshape(t["shape"])
    return arrays, about


def example():
    """Two layers of four experts, two of which serve each of five tokens."""
    rng = np.random.default_rng(1)
    layers, experts, k, words = 2, 4, 2, ["if", " (", "x", ")", " return"]
    logits = rng.normal(size=(layers, len(words), experts)).astype(np.float32)
    ids = np.argsort(-logits, axis=-1)[..., :k]
    chosen = np.exp(np.take_along_axis(logits, ids, -1))
    ends = np.cumsum([len(w.encode()) for w in words])
    arrays = {
        "expert_ids": ids.astype(np.uint8),
        "gate_weights": chosen / chosen.sum(-1, keepdims=True),
        "router_logits": logits,
        "sequence_ids": np.zeros(len(words), np.int32),
        "positions": np.arange(len(words), dtype=np.int32),
        "tags.domain": np.zeros(len(words), np.uint8),
        "token.loss": np.linspace(2, 1, len(words), dtype=np.float32),
        "text": np.frombuffer("".join(words).encode(), np.uint8),
        "text_spans": np.stack([np.r_[0, ends[:-1]], ends], 1).astype(np.int64),
    }
    about = {"version": 1, "rows": [{"layer": layer, "experts": experts, "k": k} for layer in range(layers)],
             "weight_kind": "softmax over the chosen", "tags": {"domain": ["code"]}, "source": {"tool": "trace_example.py"}}
    return arrays, about


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_trace(sys.argv[2], *example())
    else:
        arrays, about = read_trace(sys.argv[2])
        ids = arrays["expert_ids"].astype(int)
        for row, router in enumerate(about["rows"]):
            filled = np.ones(ids[row].shape, bool)
            if "used" in arrays:
                used = arrays["used"][row]
                filled = np.arange(ids.shape[2]) < np.where(used < 250, used, 0)[:, None]
            counts = np.bincount(ids[row][filled], minlength=router["experts"])[:router["experts"]]
            print("layer", router["layer"], "tokens per expert:", *counts)
