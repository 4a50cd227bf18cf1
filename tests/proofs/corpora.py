"""What strangers may send: specs, results, weights, bundles and ledgers, a third of them sound.

Each `Case` is written into a folder of its own, for `examiner.py` to read.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import io
import itertools
import json
import os
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import save

TESTS = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    """Import a module of the tests, which are no packages."""
    path = TESTS / name
    specification = importlib.util.spec_from_file_location(f"corpora_{path.parent.name}_{path.stem}", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    specification.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Case:
    """One thing that somebody sends. `write` puts it into an empty folder."""

    kind: str
    name: str
    is_sound: bool
    write: Callable[[Path], Any]


def payloads(canary: Path) -> dict[str, str]:
    """Texts that would make a careless reader touch the canary."""
    touch = f"touch {canary}"
    return {
        "python": f"__import__('os').system('{touch}')",
        "jinja": "{{ self.__init__.__globals__.__builtins__.__import__('os').system('" + touch + "') }}",
        "shell": f"$({touch})",
        "backticks": f"`{touch}`",
        "newline": f'gelu"\n__import__("os").system("{touch}")\n"',
        "format": "{0.__class__.__mro__}" + f"; {touch}",
        "expression": "${{ " + touch + " }}",
    }


def pickled(canary: Path) -> bytes:
    """A pickle that runs a command when it is loaded."""
    return f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()


def all_cases(canary: Path) -> list[Case]:
    makers = (spec_cases, results_cases, weights_cases, bundle_cases, ledger_cases)
    return [case for make in makers for case in make(canary)]


def spec_cases(canary: Path) -> Iterator[Case]:
    specs, strict = load("compiler/test_spec.py"), load("aams/test_strict.py")

    def text(name: str, content: bytes, is_sound: bool = False) -> Case:
        return Case("spec", name, is_sound, lambda folder: (folder / "spec.yaml").write_bytes(content))

    good: str = specs.GOOD
    for width, context, rate in itertools.product((32, 64, 128), (16, 64, 128), ("1e-3", "0.003", "3E-4", "0.02")):
        changed = good.replace("width: 64", f"width: {width}").replace("context: 64", f"context: {context}")
        yield text(f"good {width} {context} {rate}", changed.replace("1e-3", rate).encode(), True)
    for domain in specs.DOMAINS:
        yield text(f"baseline of {domain}", (specs.ROOT / "domains" / domain / "baseline.yaml").read_bytes(), True)
    for number, (before, after) in enumerate(itertools.pairwise(("heads: 4", "heads: 2", "heads: 8", "heads: 16"))):
        yield text(f"other heads {number}", good.replace("heads: 4", after).encode(), True)
        yield text(f"a comment {number}", good.replace("kernel: 4", f"kernel: 4 # {before}").encode(), True)
    for number, blank in enumerate(("\r\n", "\n\n", "\n# $(a comment)\n", "\n# {{ 7 }}\n")):
        yield text(f"other line ends {number}", good.replace("\n", blank).encode(), True)
    for name, (*changes, _) in specs.BAD.items():
        content = good
        for before, after in changes:
            content = content.replace(before, after)
        yield text(name, content.encode())
    for number, content in enumerate(strict.REFUSED_YAML):
        yield text(f"strict {number}", content)
    for name, payload in payloads(canary).items():
        for place in ("rope", "attention", "language"):
            yield text(f"payload {name} in {place}", good.replace(place, json.dumps(payload), 1).encode())
    yield text("python tag", f'model: !!python/object/apply:os.system ["touch {canary}"]\n'.encode())
    yield text("pickle", pickled(canary))
    lots = b"".join(b"l%d: &l%d [%s]\n" % (n, n, b",".join([b"*l%d" % (n - 1)] * 9) if n else b"1") for n in range(40))
    yield text("alias bomb", lots)
    yield text("merge bomb", b"a: &a {b: 1}\n" + b"c: {<<: [*a, *a]}\n" * 900)
    yield text("deep flow", b"a: " + b"[" * 60_000)
    yield text("deep mapping", b"{a: " * 15_000)
    yield text("many keys", b"".join(b"k%d: 1\n" % number for number in range(6000)))
    yield text("many dashes", b"- " * 30_000)
    yield text("one long word", good.replace("rope", "r" * 60_000).encode())
    yield text("one long number", good.replace("width: 64", "width: " + "9" * 60_000).encode())
    yield text("quotes without end", b'a: "' + b'\\"' * 30_000)
    yield text("a thousand million layers, nested", good.replace("repeat: 2", "repeat: 64").encode() * 40)


def results_cases(canary: Path) -> Iterator[Case]:
    known = load("evaluator/test_results.py")

    def sent(name: str, change: Callable[[dict[str, Any]], Any], is_sound: bool = False) -> Case:
        def write(folder: Path) -> None:
            data = known.returned(folder)
            change(data)
            (folder / "results.json").write_text(json.dumps(data), encoding="utf-8", errors="surrogatepass")

        return Case("results", name, is_sound, write)

    def raw(name: str, content: bytes) -> Case:
        def write(folder: Path) -> None:
            known.returned(folder)
            (folder / "results.json").write_bytes(content)

        return Case("results", name, False, write)

    def set_run(number: int, **values: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda data: data["runs"][number].update(copy.deepcopy(values))

    yield sent("honest", lambda data: None, True)
    for number, change in enumerate(known.ACCEPTED):
        yield sent(f"honest {number}", change, True)
    for accuracy, loss in itertools.product((0, 0.25, 0.5, 0.75, 1.0), (0.0, 1e-9, 2.5, 1e30)):
        score = {"accuracy": accuracy, "bits": loss}
        yield sent(f"scores {accuracy} {loss}", set_run(0, validation=score, loss_first=loss), True)
    for count in range(1, 22, 2):
        curve = [[2 * number, 8.0 / number] for number in range(1, count + 1)]
        ended = {"steps": 2 * count, "items": 64 * count, "curve": curve, "loss_last": curve[-1][1]}
        yield sent(f"stopped after {2 * count} steps", set_run(2, **ended), True)
    for reason in (
        "RuntimeError: x",
        "no memory",
        "$(true)",
        "{{ 7 * 7 }}",
        "<b>bold</b>",
        "=1+1",
        "@ann #1",
        "`a`",
        "%s",
    ):
        yield sent(f"a reason {reason}", set_run(2, status="failed", reason=reason), True)
    for name, (change, _) in known.FORGED.items():
        yield sent(name, change)
    for name, payload in payloads(canary).items():
        yield sent(f"payload {name} as a status", set_run(0, status=payload))
        yield sent(f"payload {name} as a digest", set_run(0, weights=payload))
        yield sent(f"payload {name} as a key", set_run(0, **{payload: 1}))
        yield sent(f"payload {name} as a run", set_run(0, name=payload))
    size = known.__dict__.get("MAX_RESULTS_BYTES", 4 << 20) - 16
    yield raw("pickle", pickled(canary))
    yield raw("deep lists", b"[" * size)
    yield raw("deep objects", b'{"a":' * (size // 5))
    yield raw("many lists", b"[" + b"[]," * (size // 3) + b"1]")
    yield raw("many objects", b"[" + b"{}," * (size // 3) + b"1]")
    yield raw("many keys", b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}")
    numbered = b",".join(b'"%d":1' % number for number in range(300_000))
    yield raw("the last of many keys twice", b"{" + numbered + b',"299999":1}')
    yield raw("many numbers", b"[" + b"1," * (size // 2 - 2) + b"1]")
    yield raw("brackets that close", b"]" * size)
    yield raw("one key often", b'{"a":1' + b',"a":1' * 600_000 + b"}")
    yield raw("one long number", b'{"schema_version": ' + b"9" * size + b"}")
    yield raw("one long fraction", b'{"schema_version": 0.' + b"9" * (size - 30) + b"}")
    yield raw("a string without end", b'{"a": "' + b'\\"' * (size // 2 - 10))
    yield raw("quotes", b'"' * size)
    yield raw("escapes", b'{"a": "' + b"\\u0041" * (size // 6 - 10) + b'"}')
    yield raw("NUL", b"\0" * size)
    yield raw("larger than allowed", b" " * (size + 32))


def weights_cases(canary: Path) -> Iterator[Case]:
    known = load("evaluator/test_weights.py")
    rng = np.random.default_rng(7)

    def file(name: str, content: bytes, is_sound: bool = False, size: int = 0) -> Case:
        def write(folder: Path) -> None:
            path = folder / "child-0.safetensors"
            path.write_bytes(content)
            if size:
                os.truncate(path, size)

        return Case("weights", name, is_sound, write)

    yield file("all types", save(known.ARRAYS), True)
    types = (np.float32, np.float16, np.int64)
    shapes = ((), (1,), (0, 4), (3, 4), (2, 3, 4), (9, 1), (64, 32), (1,) * 8)
    for number, (kind, shape) in enumerate(itertools.product(types, shapes)):
        arrays = {f"l{index}.weight": np.asarray(rng.normal(size=shape) * 9).astype(kind) for index in range(3)}
        yield file(f"sound {number}", save(arrays), True)
    yield file("sound and large", save({"embed.weight": rng.normal(size=(2000, 2000)).astype(np.float32)}), True)
    for name, (content, _) in known.HOSTILE.items():
        yield file(name, content)
    yield file("a pickle", pickled(canary))
    yield file("a pickle behind a length", struct.pack("<Q", len(pickled(canary))) + pickled(canary))
    torch = {"__metadata__": {"format": "pt", "code": payloads(canary)["python"]}, "a": known.row(0, 4)}
    yield file("metadata with code", known.build(torch, b"\0" * 4))
    for name, payload in payloads(canary).items():
        yield file(f"a tensor named {name}", known.build({payload: known.row(0, 4)}, b"\0" * 4))
    row = json.dumps(known.row(0, 0, shape=[0])).encode()
    yield file("many tensors", known.build(b"{" + b",".join(b'"%d!":%b' % (n, row) for n in range(15_000)) + b"}", b""))
    yield file("deep header", known.build(b"[" * 1_000_000, b""))
    yield file("a gigabyte of nothing", known.build({"a": known.row(0, 4)}, b""), size=1 << 30)


def bundle_cases(canary: Path) -> Iterator[Case]:
    known = load("aams/test_bundle.py")
    files: dict[str, bytes] = known.FILES
    manifest_name: str = known.bundle.MANIFEST

    def zipped(name: str, members: list[tuple[str, bytes]], is_sound: bool = False, method: int = 0) -> Case:
        def write(folder: Path) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known.archived(folder / "bundle.zip", members, method)

        return Case("bundle", name, is_sound, write)

    def raw(name: str, content: bytes, after: int = 0, is_sound: bool = False) -> Case:
        """A file of this content, behind so many bytes of nothing."""

        def write(folder: Path) -> None:
            with (folder / "bundle.zip").open("wb") as stream:
                stream.truncate(after)
                stream.seek(after)
                stream.write(content)

        return Case("bundle", name, is_sound, write)

    def packed() -> bytes:
        stream = io.BytesIO()
        known.archived(stream, known.as_members(files))
        return stream.getvalue()

    def patched(name: str, offset: int, content: bytes, is_sound: bool = False) -> Case:
        """The last member's central entry, changed."""
        whole = bytearray(packed())
        start = whole.rfind(b"PK\x01\x02") + offset
        whole[start : start + len(content)] = content
        return raw(name, bytes(whole), is_sound=is_sound)

    yield zipped("honest", known.as_members(files), True)
    for size in (0, 1, 255, 65_536, 1 << 20):
        for folder in known.bundle.FOLDERS:
            more = {**files, f"{folder}more.bin": b"x" * size}
            yield zipped(f"{size} bytes in {folder}", known.as_members(more), True)
    harmless = {**files, "trainer/sitecustomize.py": payloads(canary)["python"].encode()}
    yield zipped("code that is only laid out", known.as_members(harmless), True)
    elsewhere = (
        "../evil.py",
        "/evil.py",
        f"{canary}",
        "trainer/../../evil",
        "models\\..\\evil",
        "evil.pth",
        "./x",
        "a//b",
    )
    for name in elsewhere:
        yield zipped(f"a member {name}", known.as_members({**files, name: b"gotcha"}))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield zipped(f"compressed {method}", known.as_members(files), method=method)
    yield zipped("a deflate bomb", known.as_members({**files, "data/bomb": bytes(40 << 20)}), method=8)
    yield zipped("one more", [*known.as_members(files), ("extra.py", b"")])
    yield zipped("twice", [*known.as_members(files), ("specs/one.json", b"{}\n")])
    yield zipped("no manifest", list(files.items()))
    for size in (known.bundle.MAX_MANIFEST_BYTES, 2 * known.bundle.MAX_MANIFEST_BYTES):
        lists = b"[" + b"[]," * (size // 3 - 2) + b"1]"
        yield zipped(f"a manifest of {size} bytes of lists", [(manifest_name, lists), *files.items()])
        yield zipped(f"a manifest {size} deep", [(manifest_name, b"[" * size), *files.items()])
    yield zipped("a pickled manifest", [(manifest_name, pickled(canary)), *files.items()])
    yield zipped("many members", [(f"data/{number}", b"") for number in range(60_000)])
    yield raw("no zip", b"x" * 1000)
    yield raw("nothing", b"")
    yield raw("cut in half", packed()[: len(packed()) // 2])
    yield raw("a pickle", pickled(canary))
    yield raw("300 million bytes of nothing", b"", after=300_000_000)
    yield raw("a zip behind 300 million bytes", packed(), after=300_000_000)
    yield raw("more than anybody packs", packed(), after=known.bundle.MAX_BYTES)
    yield raw("a comment", packed()[:-2] + struct.pack("<H", 9) + b"a comment")
    yield patched("a link, laid out as a file", 38, struct.pack("<L", 0o120777 << 16), is_sound=True)
    yield patched("encrypted", 8, struct.pack("<H", 1))
    yield patched("a size that lies", 20, struct.pack("<LL", 2**31, 2**31))
    yield patched("an offset beyond the end", 42, struct.pack("<L", 2**32 - 2))
    yield patched("over another member", 42, struct.pack("<L", 0))


def ledger_cases(canary: Path) -> Iterator[Case]:
    known, canonical = load("safety/conftest.py"), importlib.import_module("aams.canonical")
    story = known.Story()
    story.begin()
    story.attempt("first", "wider", "rejected", recall=0.7)
    story.attempt("second", "better", "accepted", recall=0.85)
    entries = [
        (f"{entry.cycle}/{entry.number:02d}-{entry.event}.json", canonical.to_data(entry)) for entry, _ in story.ledger
    ]

    def laid(count: int, name: str, is_sound: bool, change: Callable[[Path], Any] = lambda folder: None) -> Case:
        def write(folder: Path) -> None:
            for place, data in entries[:count]:
                path = folder / "logs/cycles" / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(canonical.canonical_json(data) + b"\n")
            change(folder / "logs/cycles")

        return Case("ledger", name, is_sound, write)

    def put(place: str, content: bytes) -> Callable[[Path], Any]:
        def change(folder: Path) -> None:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(content)

        return change

    def said(number: int, **values: Any) -> Callable[[Path], Any]:
        place, data = entries[number]
        return put(place, json.dumps({**data, **values}, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    whole = len(entries)
    for count in range(whole + 1):
        yield laid(count, f"the first {count}", True)
    yield laid(whole, "a cycle that was only begun", True, lambda folder: (folder / "third").mkdir())
    yield laid(whole, "what a killed writer left", True, put("first/.abc.part", b"half"))
    for name, payload in payloads(canary).items():
        yield laid(whole, f"payload {name} as a domain", False, said(whole - 1, domain=payload))
        yield laid(whole, f"payload {name} as an event", False, said(whole - 1, event=payload))
        yield laid(whole, f"payload {name} as a fact", False, said(whole - 1, facts={payload: payload}))
    limit = importlib.import_module("safety.ledger").MAX_ENTRY_BYTES
    last = entries[-1][0]
    bombs = {
        "pickle": pickled(canary),
        "deep lists": b"[" * limit,
        "many lists": b"[" + b"[]," * (limit // 3 - 2) + b"1]",
        "many keys": b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}",
        "one long number": b'{"schema_version":' + b"9" * (limit - 30) + b"}",
        "quotes": b'"' * limit,
        "too large": b" " * (limit + 1),
        "empty": b"",
        "key twice": b'{"cycle":"a","cycle":"b"}',
    }
    for name, content in bombs.items():
        yield laid(whole, name, False, put(last, content))
    foreign = (
        "first/13-promoted.json",
        "first/notes.txt",
        "first/99-closed.json",
        "Upper/01-opened.json",
        "stray.json",
    )
    for place in foreign:
        yield laid(whole, f"a file {place}", False, put(place, b"{}\n"))
    yield laid(whole, "a link", False, lambda folder: (folder / "first/99-closed.json").symlink_to(canary))
    yield laid(whole, "a linked cycle", False, lambda folder: (folder / "third").symlink_to(folder / "first"))
    yield laid(whole, "no first cycle", False, lambda folder: (folder / entries[0][0]).unlink())
