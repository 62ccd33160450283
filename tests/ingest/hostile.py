"""Hostile files by the thousand, from a seed: mutated, truncated, bombs, entities, encrypted, odd names, links; and clean ones among them.

    python -m tests.ingest.hostile --count 2000 [--seed 7]

reads them all in the sandbox and prints one JSON document; exit 1 when anything crashed, hung, was written outside, or a clean file was not read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.parsed import Limits
from ingest.sandbox import Budget, SandboxPool
from tests.ingest import samples

SECRET = "OUTSIDE-SECRET-4417"
_ODD_NAMES = (
    "new\nline.md",
    "tab\t.txt",
    "x" * 200 + ".md",
    "..hidden.md",
    " leading.md",
    "трудно.txt",
    "名 字.md",
    "emoji😀.md",
    "quote'\".md",
    "$(rm -rf).md",
    "%00.md",
    "-rf.md",
    "con.md",
)


@dataclass(frozen=True)
class Hostile:
    """One file, and the text that must be found in it when it is a clean one."""

    name: str
    data: bytes
    kind: str
    must: str | None = None


def clean_files(rng: random.Random) -> list[tuple[str, bytes, str]]:
    """Name, bytes, and a fact that must be read."""
    fact = f"code {rng.randrange(10**6):06d}-{rng.choice('ABCDEF')}"
    text = f"The gate {fact} is valid on weekdays."
    return [
        ("note.txt", text.encode(), fact),
        ("note.md", f"# Gate\n\n{text}\n".encode(), fact),
        ("page.html", f"<html><body><p>{text}</p></body></html>".encode(), fact),
        ("data.json", json.dumps({"rule": text}).encode(), fact),
        ("table.csv", f"name,rule\ngate,{text}\n".encode(), fact),
        ("memo.docx", samples.docx(paragraphs=[text]), fact),
        ("book.xlsx", samples.xlsx({"S": [["a", "b"], ["gate", text]]}), fact),
        ("deck.pptx", samples.pptx([("Gate", [text, "more"])]), fact),
        ("paper.pdf", samples.pdf(["# Gate", text]), fact),
        ("letter.eml", samples.mail("Gate", text), fact),
        ("box.zip", samples.zip_of({"in/side.md": text}), fact),
        ("novel.epub", samples.epub({"c1": f"<p>{text}</p>"}, "Gate"), fact),
        ("tool.py", f'def gate():\n    """{text}"""\n'.encode(), fact),
    ]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flipped, cut, doubled, spliced or overwritten."""
    out = bytearray(data)
    how = rng.randrange(6)
    if how == 0:
        for _ in range(rng.randint(1, 40)):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif how == 1:
        del out[rng.randrange(len(out)) :]
    elif how == 2:
        a = rng.randrange(len(out))
        out[a:a] = out[a : a + rng.randrange(1, 2000)] * rng.randint(1, 20)
    elif how == 3:
        a = rng.randrange(len(out))
        out[a : a + rng.randrange(1, 400)] = rng.randbytes(rng.randrange(1, 400))
    elif how == 4:
        out = bytearray(rng.randbytes(rng.randrange(1, 5000))) + out[rng.randrange(len(out)) :]
    else:
        for word in (b"/Length", b"/Count", b"/Kids", b"<w:t>", b"count=", b"obj"):
            at = out.find(word)
            if at >= 0:
                out[at + len(word) : at + len(word) + 3] = str(rng.choice([-1, 0, 2**31, 10**9])).encode()
    return bytes(out)


def bombs(rng: random.Random, secret: Path) -> dict[str, Callable[[], bytes]]:
    """Files made to exhaust, to escape or to read what they must not: name and how to make it."""
    xxe = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
    net = f'<!DOCTYPE x SYSTEM "http://127.0.0.1:{rng.randrange(20000, 60000)}/x.dtd">'
    laughs = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9))
        + "]>"
    )
    body = f'<w:document xmlns:w="{samples.WORDML}"><w:body><w:p><w:r><w:t>a &%s; b</w:t></w:r></w:p></w:body></w:document>'
    clean = samples.docx(paragraphs=["x"])

    def word(document: str) -> bytes:
        import io
        import zipfile

        with zipfile.ZipFile(io.BytesIO(clean)) as package:
            return samples.zip_of(
                {n: package.read(n) if n != "word/document.xml" else document for n in package.namelist()}
            )

    def nested() -> bytes:
        data = samples.zip_of({"e.md": "deep"})
        for _ in range(rng.randint(3, 8)):
            data = samples.zip_of({"inner.zip": data})
        return data

    def flate() -> bytes:
        packed = zlib.compress(b"(a) Tj " * (rng.choice([5, 20]) * 1_000_000 // 7), 9)
        return _pdf_page(
            b"<</Length " + str(len(packed)).encode() + b"/Filter/FlateDecode>>stream\n" + packed + b"\nendstream"
        )

    return {
        "xxe.docx": lambda: word(xxe + body % 'e'),
        "net.docx": lambda: word(net + body % 'amp'),
        "laughs.docx": lambda: word(laughs + body % 'j'),
        "xxe.html": lambda: (xxe + '<html><body>&e;</body></html>').encode(),
        "laughs.xml": lambda: (laughs + '<x>&j;</x>').encode(),
        "xxe.epub": lambda: samples.epub({'c': f'{xxe}<p>&e;</p>'}, 't'),
        "zeros.docx": lambda: samples.zip_of({'word/document.xml': b'\x00' * (rng.choice([30, 60, 120]) * 1_000_000), '[Content_Types].xml': 'x'}),
        "bomb.zip": lambda: samples.zip_of({f'f{i}.txt': b'\x00' * 20000000 for i in range(rng.randint(5, 30))}),
        "many.zip": lambda: samples.zip_of({f'{i}.md': 'x' for i in range(6000)}),
        "slip.zip": lambda: samples.zip_of({'../../escaped.md': 'escaped', '/abs.md': 'abs', 'C:\\x.md': 'drive', 'ok.md': 'fine'}),
        "nested.zip": lambda: nested(),
        "flate.pdf": lambda: flate(),
        "loop.pdf": lambda: b'%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids[2 0 R]>>endobj\ntrailer<</Root 1 0 R>>',
        "count.pdf": lambda: b'%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 2000000000/Kids[]>>endobj\ntrailer<</Root 1 0 R>>',
        "deep.html": lambda: b'<div>' * rng.choice([5000, 200000]) + b'x',
        "deep.json": lambda: b'[' * rng.choice([1000, 200000]),
        "deep.md": lambda: b'> ' * rng.choice([1000, 50000]) + b'x',
        "stars.md": lambda: b'*_' * rng.choice([1000, 30000]),
        "brackets.md": lambda: b'[' * rng.choice([1000, 30000]),
        "wide.csv": lambda: b','.join([b'x'] * rng.choice([10000, 1000000])),
        "nul.txt": lambda: b'\x00' * 1000000,
        "line.txt": lambda: b'a' * 5000000,
        "digits.json": lambda: b'{"a": ' + b'9' * 100000 + b'}',
        "wide.png": lambda: b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR' + 60000 .to_bytes(4, 'big') * 2 + b'\x08\x02\x00\x00\x00' + rng.randbytes(20),
        "lies.pdf": lambda: b'PK\x03\x04' + rng.randbytes(2000),
        "lies.docx": lambda: b'%PDF-1.4\n' + rng.randbytes(2000),
        "old.doc": lambda: b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' + rng.randbytes(3000),
        "locked.docx": lambda: b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' + 'EncryptedPackage'.encode('utf-16-le') + rng.randbytes(3000),
        "parts.eml": lambda: b'Content-Type: multipart/mixed; boundary=b\n\n' + b'--b\nContent-Type: text/plain\n\nx\n' * 2000,
        "unknown.xyz": lambda: rng.randbytes(300),
    }  # fmt: skip


def _pdf_page(content: bytes) -> bytes:
    """A PDF whose one page has this content stream."""
    head = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
    page = b"3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R>>endobj\n4 0 obj"
    return head + page + content + b" endobj\ntrailer<</Root 1 0 R>>"


def generate(count: int, seed: int, secret: Path) -> Iterator[Hostile]:
    """`count` files; about one in ten is clean."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        good = clean_files(rng)
        batch = [Hostile(n, d, "clean", fact) for n, d, fact in rng.sample(good, 6)]
        makers = bombs(rng, secret)
        batch += [Hostile(n, makers[n](), "bomb") for n in rng.sample(sorted(makers), 12)]
        batch += [Hostile(n, mutate(d, rng), "mutated") for n, d, _ in rng.choices(good, k=36)]
        batch += [Hostile(rng.choice(_ODD_NAMES), b"odd name, plain text", "odd name", "plain text") for _ in range(3)]
        batch += [
            Hostile(f"random{n}{Path(rng.choice(good)[0]).suffix}", rng.randbytes(rng.randrange(0, 20_000)), "random")
            for n in range(3)
        ]
        rng.shuffle(batch)
        for one in batch[: count - made]:
            yield one
            made += 1


def run(count: int, seed: int, told: Callable[[int], None] = lambda n: None) -> dict[str, object]:
    """What happened to each of `count` files."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name) / "root"
        folder.mkdir()
        secret = Path(name) / "secret.txt"
        secret.write_text(SECRET)
        files: list[tuple[Path, Hostile]] = []
        for number, one in enumerate(generate(count, seed, secret)):
            place = folder / f"{number:05d}"
            place.mkdir()
            (place / one.name).write_bytes(one.data)
            files.append((place / one.name, one))
        before = _tree(Path(name))
        started = time.monotonic()
        kinds: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        untyped, unread_clean, leaked, slowest = [], [], [], 0.0
        budget = Budget(1 << 30, 60.0, Limits(bytes=512 << 20), "auto")
        with SandboxPool(budget, 2) as pool:
            for n, ((path, one), result) in enumerate(pool.read_all(files, lambda f: f[0])):
                told(n)
                text = "\n".join(d.text for d in result.documents)
                kinds[one.kind + (" read" if result.documents else " refused")] += 1
                reasons.update(_short(u.reason) for u in result.unread)
                slowest = max(slowest, result.seconds)
                if not result.documents and not result.unread:
                    untyped.append(path.name)
                if any("nonsense" in u.reason for u in result.unread):
                    untyped.append(f"{path.name}: {result.unread}")
                if one.must and one.must not in text:
                    unread_clean.append(f"{path.name}: {[u.reason for u in result.unread]}")
                if SECRET in text or "escaped" in text:
                    leaked.append(path.name)
        after = _tree(Path(name))
        return {
            "files": len(files), "typed": len(files) - len(untyped), "untyped": untyped, "clean_not_read": unread_clean, "leaked": leaked,
            "written": sorted(map(str, after - before)), "kinds": dict(kinds), "reasons": dict(reasons.most_common(40)),
            "slowest_seconds": round(slowest, 1), "seconds": round(time.monotonic() - started, 1),
            "peak_child_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
        }  # fmt: skip


def sound(report: dict[str, object]) -> bool:
    """Whether nothing went wrong."""
    return (
        not (report["untyped"] or report["clean_not_read"] or report["leaked"] or report["written"])
        and int(str(report["peak_child_mib"])) <= 1024
    )


def _short(reason: str) -> str:
    return "".join("0" if c.isdigit() else c for c in reason)[:60]


def _tree(folder: Path) -> set[Path]:
    return {Path(base) / f for base, _, names in os.walk(folder) for f in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    report = run(args.count, args.seed, lambda n: sys.stderr.write(f"\r{n}") and None)
    sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return 0 if sound(report) else 1


if __name__ == "__main__":
    sys.exit(main())
