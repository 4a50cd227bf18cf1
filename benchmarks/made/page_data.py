"""Makes the page's data for a history of any size, and the same children as trials, for `benchmarks/dashboard.py`.

    python page_data.py EXPERIMENTS FOLDER

A block of cycles is told in facts and compiled as a lab compiles its own; blocks of the same rows with other numbers
follow until there are enough children. Writes `page/`, without the shards that only a single experiment is read from,
and `trials.json`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aams.canonical import sha256, to_data
from aams.records import Cost, Criterion, Entry, Fitness, Look, Mutation, Outcome, Pair, Scores, Stage
from aams.views import COLUMN_ROWS, SHARD_ROWS
from aams.views.columns import columns_of, outline
from aams.views.rows import experiments
from aams.views.summary import summary
from compiler import spec as specs
from safety import events
from safety.clock import later
from safety.ledger import Recorded, entry_bytes
from safety.seal import seal
from safety.signatures import Statement
from safety.state import fold

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = 4
BLOCK = 40
"""Cycles of a block; every tenth is an attempt, and the second attempt of a block is promoted."""


def told(seed: int) -> list[list[events.Facts]]:
    """One block of cycles: a root, then trials that end at the screen, and attempts."""
    rng = random.Random(seed)
    text = (ROOT / "domains" / "language" / "baseline.yaml").read_text(encoding="utf-8")
    cycles, head, attempts = [_root(specs.parse(text.encode(), "spec.yaml").id)], "G000", 0
    for number in range(1, BLOCK):
        children = tuple(_child(text, rng) for _ in range(CHILDREN))
        is_attempt = number % 10 == 5
        scores = sorted(((round(rng.gauss(0.5, 0.01), 6), one.spec) for one in children), reverse=True)
        margin = 0.0 if is_attempt else 0.2
        control = scores[0][0] - 0.01
        ranked = tuple(events.TrialScore(spec, score) for score, spec in scores)
        cycle: list[events.Facts] = [
            events.Opened(number, "mutate-champion", "schedule", head, "corpus-a", "f" * 64, "c" * 40),
            events.Proposed(children, ()),
            *_bundle("trial", 0, "", [one.spec for one in children], rng),
            events.Screened(control, ranked, margin, scores[0][1], is_attempt),
        ]
        if is_attempt:
            attempts += 1
            cycle += _attempt(f"G{attempts:03d}", head, scores[0][1], attempts == 2, attempts == 4, rng)
            head = f"G{attempts:03d}" if attempts == 2 else head
        else:
            cycle.append(events.Closed("screened-out", "no child was better by the margin"))
        cycles.append(cycle)
    return cycles


def _child(text: str, rng: random.Random) -> events.ProposedChild:
    width, lr, depth = rng.randrange(24, 240, 24), round(10 ** rng.uniform(-3, -1), 5), rng.randint(1, 6)
    text = text.replace("width: 48", f"width: {width}").replace(" lr: 0.02", f" lr: {lr}")
    spec = specs.parse(text.replace("repeat: 2", f"repeat: {depth}").encode(), "spec.yaml")
    operator = rng.choice(("widen", "deepen", "retune", "swap-mixer", "cross"))
    mutation = Mutation(operator, "model.width", 48, width, f"Width {width} instead of 48", 0.01)
    cost = Cost(*(width * each * depth for each in (900, 2_000, 6_000, 30, 60, 8, 640, 160)))
    return events.ProposedChild(spec.id, text, spec.tree, (mutation,), f"Width {width}, rate {lr}", 0.01, cost)


def _signed(role: Any, generation: str) -> events.Signed:
    statement = Statement(1, "unversioned", role, "language", generation, "", "1" * 64, "", (), "2026-12-01T00:00:00Z")
    return events.Signed(statement, "a signature", "ann", f"SHA256:{role}")


def _bundle(stage: Stage, batch: int, generation: str, children: Sequence[str], rng: random.Random) -> list[Any]:
    def run(name: str, arm: Any, spec: str) -> events.RunSummary:
        curve = tuple((float(step), round(5 - step / 40 + rng.random(), 4)) for step in range(5, 85, 5))
        latency = round(rng.uniform(1, 3), 3)
        if not spec:  # the sealed child
            unknown: Any = [None] * 5
            return events.RunSummary(name, arm, 0, "", "finished", "", *unknown, 0, None, None, ())
        return events.RunSummary(name, arm, 0, spec, "finished", "", 80, 640, 0.5, 2.5, 3.0, 0, latency, 10**6, curve)

    runs = [run(f"child-{at}", "child", spec) for at, spec in enumerate(children)]
    runs += [run(f"control-{at}", "control", "9" * 64) for at in range(2)]
    proposer, nonce = _signed("propose", generation), rng.randbytes(8)
    return [
        events.Frozen(stage, batch, sha256(nonce + b"!"), sha256(nonce), len(runs), 10**12, proposer),
        events.Trained(stage, batch, "3" * 64, tuple(runs), {}, "landlock", "7" * 64, 9 * 10**11, 40.0, 25.0),
    ]


def _attempt(name: str, head: str, spec: str, passed: bool, placebo: bool, rng: random.Random) -> list[events.Facts]:
    spec = "d" * 64 if placebo else spec
    gain = 0.03 if passed else 0.0
    pairs = []
    for number in range(8):
        own, control = round(rng.gauss(0.55 + gain, 0.01), 3), round(rng.gauss(0.55, 0.01), 3)
        pairs.append(Pair(number, Scores(0.8, own, 2.5), Scores(0.8, control, 2.6)))
    standing: Any = "proven" if passed else "futile"
    look = Look(int(name[1:]), 0, 0.01, 400.0 if passed else 0.4, 8, standing, gain, gain - 0.01, gain + 0.01)
    outcome: Outcome = "accepted" if passed else "rejected"
    verdict = events.Verdict(
        name, spec, outcome, (Criterion("evidence", look.e_value, ">=", 100.0, passed),), ("so",),
        Fitness(0.8, 0.55 + gain, 0.01, 2.5, 0), Fitness(0.8, 0.55, 0.0, 2.6, 0), look, (0.5, 0.5), "8" * 64, "e" * 64,
    )  # fmt: skip
    ending: Any = "placebo" if placebo else outcome
    return [
        events.Attempted(name, seal("5" * 64, spec, placebo)),
        *_bundle("attempt", 0, name, [""], rng),
        events.Looked(name, 0, tuple(pairs), (0.5, 0.5), (0.5, 0.5), look, standing),
        verdict,
        events.Revealed(name, spec, placebo, "5" * 64),
        *([events.Approved(name, _signed("verdict", name), head, name)] if passed else []),
        events.Closed(ending, ""),
    ]


def _root(spec: str) -> list[events.Facts]:
    pairs = (Pair(0, Scores(0.8, 0.5, 2.5), None),)
    fitness, criteria = Fitness(0.8, 0.5, 0.0, 2.5, 0), (Criterion("recall", 0.8, ">=", 0.0, True),)
    return [
        events.Opened(0, "mutate-champion", "person", "", "corpus-a", "f" * 64, ""),
        events.Attempted("G000", ""),
        *_bundle("root", 0, "G000", [spec], random.Random(0)),
        events.Looked("G000", 0, pairs, (0.5, 0.5), (), None, "proven"),
        events.Verdict("G000", spec, "accepted", criteria, (), fitness, None, None, (0.5, 0.5), "8" * 64, "e" * 64),
        events.Approved("G000", _signed("verdict", "G000"), "", "G000"),
        events.Closed("accepted", ""),
    ]


def recorded(cycles: Sequence[Sequence[events.Facts]]) -> list[Recorded]:
    """A ledger of these cycles, an hour each."""
    ledger: list[Recorded] = []
    for at, facts in enumerate(cycles):
        for number, one in enumerate(facts, start=1):
            follows = (ledger[-1].digest,) if ledger else ()
            name, moment = f"language-{at:06d}", later("2026-01-01T00:00:00Z", 3600 * at)
            entry = Entry(1, name, number, events.event_name(one), "language", follows, "c" * 64, moment, to_data(one))
            ledger.append(Recorded(entry, sha256(entry_bytes(entry))))
    return ledger


def history(count: int, seed: int = 1) -> tuple[list[Recorded], list[dict[str, Any]]]:
    """At least so many children: a ledger of the first block, and the rows of all."""
    ledger, rng = recorded(told(seed)), random.Random(seed)
    block = experiments(ledger)
    rows, children, number = list(block), sum(len(row["children"]) for row in block), 0
    tried = sum(bool(row["generation"]) for row in block) - 1
    while children < count:
        number += 1
        for row in block[1:]:
            rows.append(_again(row, number, tried, rng))
            children += len(row["children"])
    return ledger, rows


def _again(row: Mapping[str, Any], block: int, tried: int, rng: random.Random) -> dict[str, Any]:
    """A row as it might be in a later block: with its own place in time and in the line, and other numbers."""

    def moved(name: str) -> str:
        if name == "G000":  # what the block before it promoted
            return moved_by("G002", block - 1)
        return moved_by(name, block)

    def moved_by(name: str, blocks: int) -> str:
        return f"G{int(name[1:]) + blocks * tried:03d}" if name else ""

    new: dict[str, Any] = json.loads(json.dumps(row))
    at = int(row["cycle"].split("-")[1]) + block * (BLOCK - 1)
    new["cycle"], new["time"] = f"language-{at:06d}", later("2026-01-01T00:00:00Z", 3600 * at)
    new["generation"], new["parent"] = moved(row["generation"]), moved(row["parent"])
    for run in new["runs"]:
        run["latency_ms"] = run["latency_ms"] and round(rng.uniform(1, 3), 3)
    for score in (new.get("scores"), new.get("control_scores")):
        if score:
            score["generalize"] = round(score["generalize"] + rng.gauss(0, 0.01), 4)
    for child in new["children"]:
        child["validation"] = round(child["validation"] + rng.gauss(0, 0.01), 6)
        for name in ("parameters", "forward_flops", "activation_bytes"):
            child["cost"][name] += rng.randrange(50_000)
        child["tree"]["training"]["optimizer"]["lr"] = round(10 ** rng.uniform(-3, -1), 5)
    return new


def compiled(ledger: Sequence[Recorded], rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """The page's data, by name, as `aams.views` writes it, without the shards: only single experiments are in those."""
    files = {
        f"data/columns-{index:04d}.json": _json(columns_of(rows[start : start + COLUMN_ROWS]))
        for index, start in enumerate(range(0, len(rows), COLUMN_ROWS))
    }
    shards = [f"data/experiments-{index:04d}.json" for index in range(-(-len(rows) // SHARD_ROWS))]
    whole = summary(ledger, rows, fold(ledger)) | {"shards": shards, "columns": list(files)}
    return {**files, "metrics.json": _json(whole)}


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def main(count: int, folder: Path) -> None:
    """Write a history of so many children."""
    ledger, rows = history(count)
    for name, content in compiled(ledger, rows).items():
        (folder / "page" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "page" / name).write_bytes(content)
    children = [child for row in rows for child in row["children"]]
    trials = [{"value": child["validation"], "fields": outline(child["tree"])} for child in children]
    (folder / "trials.json").write_text(json.dumps(trials))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
