#!/usr/bin/env python3
"""Builds the sample's corpus from Debian packages and from two seeded generators.

Needs: python3 (standard library only), the program zstd, and the packages
    debian-handbook jargon-text libboost1.74-dev nlohmann-json3-dev
Writes into OUT: corpus.jsonl.zst (training text), held-out.jsonl (the sample's fixed text) and
NOTICE.txt (copyright lines and licences of the sources). The same packages give the same bytes.

    plugins/torch_engine/train/make_corpus.py resources/sample

Six domains: prose (English), code (C++), arithmetic, json, german, french. Training and held-out text never share
a document: whole handbook chapters (the same ones in all three languages), whole header files and separately seeded
generator documents are held out.
"""
import gzip
import html.parser
import json
import pathlib
import random
import re
import subprocess
import sys

HANDBOOK = pathlib.Path("/usr/share/doc/debian-handbook/html")
JARGON = pathlib.Path("/usr/share/doc/jargon-text/jargon.txt.gz")
BOOST = pathlib.Path("/usr/include/boost")
NLOHMANN = pathlib.Path("/usr/include/nlohmann")
# Header trees of ordinary, hand-written C++ under the Boost Software Licence.
BOOST_FOLDERS = ["algorithm", "container", "heap", "filesystem", "lockfree", "circular_buffer", "date_time",
                 "program_options", "property_tree", "pool", "tokenizer.hpp", "optional", "smart_ptr", "asio",
                 "unordered", "thread", "chrono", "random", "graph", "multi_array", "dynamic_bitset", "rational.hpp"]
HELD_CHAPTERS = {"security", "advanced-administration", "conclusion"}
CODE_BYTES = 1_700_000
GENERATED_BYTES = {"arithmetic": 700_000, "json": 1_300_000}
HELD_SEQUENCES = 8      # per domain, each one document of the held-out text
HELD_CHARACTERS = {"prose": 640, "code": 560, "arithmetic": 400, "json": 560, "german": 600, "french": 600}
MIXED_SEQUENCES = 6

STOP_WORDS = {
    "prose": set("the of and to is that in it for be with as are this on which can by an or not you from".split()),
    "german": set("der die das und ist zu den von mit für auf nicht ein eine sich werden dem des sie wird im als".split()),
    "french": set("le la les de des et est un une pour dans que qui sur pas par en du ce au plus vous".split()),
}


class Paragraphs(html.parser.HTMLParser):
    """Collects paragraphs and headings of an HTML page; leaves out preformatted text, tables and navigation."""
    SKIP = {"pre", "script", "style", "table", "head"}
    BLOCK = {"p", "li", "h1", "h2", "h3", "h4", "h5", "dt", "dd", "td", "body", "ul", "ol", "dl"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.out, self.now, self.skip, self.title = [], [], 0, ""

    def handle_starttag(self, tag, attrs):
        classes = dict(attrs).get("class") or ""
        if tag in self.SKIP:
            self.skip += 1
        if tag == "link" and dict(attrs).get("rel") == "up":
            self.title = dict(attrs).get("href") or ""
        if tag in self.BLOCK or (tag == "div" and classes != ""):
            self.flush()

    def handle_endtag(self, tag):
        if tag in self.SKIP and self.skip:
            self.skip -= 1
        if tag in self.BLOCK or tag == "div":
            self.flush()

    def handle_data(self, data):
        if not self.skip:
            self.now.append(data)

    def flush(self):
        text = tidy("".join(self.now))
        self.now = []
        if text:
            self.out.append(text)


def tidy(text):
    """One line: collapsed white space, plain quotes and dashes kept as the author wrote them."""
    text = text.replace("\u00a0", " ").replace("\u00ad", "").replace("\u200b", "").replace("\u202f", " ")
    return re.sub(r"\s+", " ", text).strip()


def language_of(text):
    words = re.findall(r"[a-zäöüßàâçéèêëîïôûùœ]+", text.lower())
    score = {name: sum(w in stop for w in words) for name, stop in STOP_WORDS.items()}
    best = max(score, key=lambda name: score[name])
    return best if score[best] * 8 >= len(words) else None


def handbook(folder, domain):
    """(held, text) for each page; a page belongs to the chapter that its `up` link names."""
    pages = []
    seen = set()
    for file in sorted((HANDBOOK / folder).glob("*.html")):
        reader = Paragraphs()
        reader.feed(file.read_text(encoding="utf-8"))
        reader.flush()
        # Sentences only, in the page's own language (translations leave some paragraphs in English), each once.
        kept = []
        for text in reader.out:
            if len(text) >= 60 and language_of(text) == domain and text not in seen:
                seen.add(text)
                kept.append(text)
        if kept:
            chapter = reader.title if reader.title not in ("", "index.html") else file.name
            pages.append((chapter.split(".html")[0] in HELD_CHAPTERS, "\n".join(kept)))
    return pages


def jargon():
    text = gzip.decompress(JARGON.read_bytes()).decode("utf-8", errors="replace")
    paragraphs = [tidy(p) for p in re.split(r"\n\s*\n", text)]
    kept = [p for p in paragraphs if len(p) >= 120 and language_of(p) == "prose" and "\ufffd" not in p]
    # Documents of thirty paragraphs.
    return [(False, "\n".join(kept[i:i + 30])) for i in range(0, len(kept), 30)]


def code(notices):
    files = []
    for name in BOOST_FOLDERS:
        path = BOOST / name
        found = [path] if path.is_file() else sorted(path.rglob("*.hpp"))
        files += [f for f in found if "preprocessed" not in str(f) and "/impl/src" not in str(f)]
    order = random.Random(11)
    order.shuffle(files)
    files = sorted(NLOHMANN.rglob("*.hpp"), key=str) + files
    pages, size = [], 0
    for file in files:
        source = file.read_text(encoding="utf-8", errors="replace")
        boost = "Boost Software License" in source[:3000] or "boost.org/LICENSE" in source[:3000]
        if not boost and NLOHMANN not in file.parents:
            continue
        if not source.isascii() or not 1_500 <= len(source) <= 60_000:
            continue
        source = source.replace("\r\n", "\n").replace("\t", "    ")
        rights = re.findall(r"(?:\(c\)\s*)?copyright\b[^\n]*", source[:3000], flags=re.I)
        notices.append((str(file), [tidy(r.strip(" /*")) for r in rights]))
        # The first comments hold the licence: they stand in NOTICE.txt instead.
        body = source
        while True:
            match = re.match(r"\s*(//[^\n]*\n|/\*.*?\*/)", body, flags=re.S)
            if not match:
                break
            body = body[match.end():]
        body = re.sub(r"[ ]+\n", "\n", body)
        body = re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"
        pages.append((len(pages) % 17 == 16, body))
        size += len(body)
        if size >= CODE_BYTES:
            break
    return pages


def arithmetic_line(draw):
    a, b = draw.randint(0, 99), draw.randint(0, 99)
    kind = draw.randrange(7)
    if kind == 0:
        return f"{a} + {b} = {a + b}"
    if kind == 1:
        return f"{max(a, b)} - {min(a, b)} = {max(a, b) - min(a, b)}"
    if kind == 2:
        a, b = draw.randint(2, 12), draw.randint(2, 12)
        return f"{a} * {b} = {a * b}"
    if kind == 3:
        b, c = draw.randint(2, 12), draw.randint(2, 12)
        return f"{b * c} / {b} = {c}"
    if kind == 4:
        c = draw.randint(1, 9)
        return f"({a} + {b}) * {c} = {a + b} * {c} = {(a + b) * c}"
    if kind == 5:
        c = draw.randint(0, 99)
        return f"{a} + {b} + {c} = {a + b} + {c} = {a + b + c}"
    b = draw.randint(2, 9)
    return f"{a} = {a // b} * {b} + {a % b}"


def arithmetic(draw):
    if draw.random() < 0.3:  # a table
        b = draw.randint(2, 12)
        return "\n".join(f"{i} * {b} = {i * b}" for i in range(1, draw.randint(10, 16))) + "\n"
    return "\n".join(arithmetic_line(draw) for _ in range(draw.randint(20, 60))) + "\n"


FIRST = "Ada Alan Barbara Claude Donald Edsger Frances Grace Hedy John Katherine Lynn Margaret Niklaus Radia".split()
LAST = "Allen Backus Church Dijkstra Hamilton Hopper Johnson Knuth Lamarr Liskov Perlman Shannon Turing Wirth".split()
CITY = "Aachen Basel Cork Delft Essen Florence Geneva Hamburg Izmir Jena Kiel Lyon Malmo Nantes Oslo Porto".split()
ITEM = "bolt cable clamp drill filter gasket hinge lamp motor nozzle panel pump relay sensor spring valve".split()
STATE = ["open", "paid", "shipped", "returned", "cancelled"]


def order_record(draw, i):
    items = [{"sku": f"{draw.choice(ITEM)}-{draw.randint(10, 99)}", "quantity": draw.randint(1, 9),
              "price": round(draw.randint(100, 9999) / 100, 2)} for _ in range(draw.randint(1, 3))]
    return {"id": i, "customer": {"name": f"{draw.choice(FIRST)} {draw.choice(LAST)}", "city": draw.choice(CITY)},
            "status": draw.choice(STATE), "items": items, "paid": draw.random() < 0.5}


def reading_record(draw, i):
    return {"sensor": f"{draw.choice(ITEM)}-{i % 50:02d}", "time": f"2024-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}"
            f"T{draw.randint(0, 23):02d}:{draw.randint(0, 59):02d}:00Z", "value": round(draw.uniform(-20, 80), 1),
            "unit": draw.choice(["C", "kPa", "rpm", "V"]), "ok": draw.random() < 0.9}


def settings_record(draw, i):
    return {"name": f"{draw.choice(ITEM)}_{i}", "enabled": draw.random() < 0.7, "retries": draw.randint(0, 5),
            "timeout": draw.choice([5, 10, 30, 60]), "tags": draw.sample(STATE, draw.randint(0, 3)),
            "limits": {"min": draw.randint(0, 10), "max": draw.randint(11, 99)}, "parent": None}


def json_text(draw):
    make = draw.choice([order_record, reading_record, settings_record])
    start = draw.randint(1, 900)
    records = [make(draw, start + i) for i in range(draw.randint(4, 12))]
    return json.dumps(records, indent=draw.choice([None, 2, 2])) + "\n"


def generated(domain, make):
    pages = []
    for held, seed, wanted in ((False, 101, GENERATED_BYTES[domain]), (True, 9001, 30_000)):
        draw, size = random.Random(f"{domain}-{seed}"), 0
        while size < wanted:
            text = make(draw)
            pages.append((held, text))
            size += len(text)
    return pages


def cut(text, start, length):
    """`length` characters from the first line break or sentence at or after `start`, ending at white space."""
    found = re.search(r"\n|(?<=[.;}]) ", text[start:])
    begin = start + (found.end() if found else 0)
    piece = text[begin:begin + length]
    end = max(piece.rfind("\n"), piece.rfind(" "))
    return piece[:end] if end > length // 2 else piece


def held_out(pages, draw):
    """Fixed text: HELD_SEQUENCES pieces per domain, then untagged pieces that change domain half way."""
    rows, spare = [], {}
    for domain, parts in pages.items():
        length = HELD_CHARACTERS[domain]
        texts = [t for held, t in parts if held and len(t) > length + 200]
        if domain in GENERATED_BYTES:  # short documents are joined
            joined = "\n".join(t for held, t in parts if held)
            texts = [joined[i:i + 2000] for i in range(0, len(joined) - 2000, 2000)]
        places = []
        for text in texts:
            places += [(text, at) for at in range(0, len(text) - length - 200, length + 200)]
        draw.shuffle(places)
        chosen = [cut(t, at, length) for t, at in places[:HELD_SEQUENCES + MIXED_SEQUENCES]]
        rows += [{"text": t, "domain": domain} for t in chosen[:HELD_SEQUENCES]]
        spare[domain] = chosen[HELD_SEQUENCES:]
    names = list(pages)
    for i in range(MIXED_SEQUENCES):
        first, second = names[i % len(names)], names[(i + 1 + i // 3) % len(names)]
        half = lambda d: cut(spare[d][i], 0, len(spare[d][i]) // 2)
        rows.append({"text": half(first) + "\n\n" + half(second) + "\n"})
    return rows


def licence_text(package, pattern):
    text = pathlib.Path(f"/usr/share/doc/{package}/copyright").read_text(encoding="utf-8")
    found = re.search(pattern, text, flags=re.S)
    return found.group(0).strip() if found else ""


def write_notices(out, notices):
    lines = ["Copyright lines of the C++ headers in corpus.jsonl.zst and held-out.jsonl (domain \"code\").",
             "Files of /usr/include/boost: Boost Software License 1.0. Files of /usr/include/nlohmann: MIT License.", ""]
    for file, rights in sorted(notices):
        lines.append(file + ": " + "; ".join(dict.fromkeys(r for r in rights if r)))
    lines += ["", "Boost Software License 1.0", "",
              licence_text("libboost1.74-dev", r"Permission is hereby granted.*?DEALINGS IN THE SOFTWARE\."), "",
              "MIT License", "",
              licence_text("nlohmann-json3-dev", r"Permission is hereby granted.*?SOFTWARE\.")]
    (out / "NOTICE.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_corpus.py OUT")
    out = pathlib.Path(sys.argv[1])
    for need in (HANDBOOK, JARGON, BOOST, NLOHMANN):
        if not need.exists():
            sys.exit(f"{need} is missing: install the packages named at the top of this script")
    notices = []
    pages = {
        "prose": handbook("en-US", "prose") + jargon(),
        "code": code(notices),
        "arithmetic": generated("arithmetic", arithmetic),
        "json": generated("json", json_text),
        "german": handbook("de-DE", "german"),
        "french": handbook("fr-FR", "french"),
    }
    draw = random.Random(7)
    train = [{"text": t, "domain": d} for d, parts in pages.items() for held, t in parts if not held]
    draw.shuffle(train)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in train)
    subprocess.run(["zstd", "-q", "-f", "--ultra", "-22", "--long=25", "-o", str(out / "corpus.jsonl.zst")],
                   input=lines.encode(), check=True)
    held = held_out(pages, draw)
    (out / "held-out.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in held),
                                        encoding="utf-8")
    write_notices(out, notices)
    for domain, parts in pages.items():
        sizes = [sum(len(t.encode()) for h, t in parts if h == flag) for flag in (False, True)]
        print(f"{domain:12} {len(parts):5} documents, {sizes[0]:9,} bytes to train on, {sizes[1]:8,} held out")
    print(f"held-out text: {len(held)} sequences, {sum(len(r['text']) for r in held):,} characters; "
          f"corpus {(out / 'corpus.jsonl.zst').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
