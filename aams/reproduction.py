"""Reproducing a generation: its bundle is built again from the ledger, by the code of the commit that made it.

Takes a lab and a generation, gives what a second training came to. With an equal fingerprint (processor capability,
torch, threads) the weights must be equal byte for byte; else the losses must agree within `TOLERANCE`. Restores weights
that this machine does not have. Writes nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aams import bundle, git
from aams.errors import AamsError, Problem, ResultError, failure
from aams.files import read_bounded
from aams.lanes import LANES, Report
from aams.records import Manifest, Spec
from aams.strict import read_json
from compiler import spec as specs
from compiler.cost import estimate
from domains import prepare
from evaluator.results import read_results
from safety import store
from safety.archive import generation_path
from safety.events import Frozen, Opened, Trained, facts_of
from safety.ledger import read_ledger
from safety.manifest import manifest_digest, read_manifest
from safety.state import Generation, Lineage, fold

CACHE = ".aams/cache"
TOLERANCE = 0.05
"""Largest relative difference of a run's last loss on another kind of machine."""


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What came of it. `same_bytes`: all weights equal; `same`: equal where they must be, or within tolerance."""

    same_bytes: bool
    same: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class _Record:
    """What the ledger and the archive say of one generation."""

    generation: Generation
    directory: Path
    manifest: Manifest
    opened: Opened
    trained: Trained


def rebuild(root: Path, domain: str, name: str, output: Path) -> Path:
    """Build a generation's bundle again with this checkout's code and pack it under its frozen manifest.

    Raises:
        ResultError: naming the first file that this checkout makes otherwise than the manifest declares.
    """
    record = _look_up(root, domain, name)
    prepared = prepare(domain, record.opened.corpus, cache=root / CACHE)
    files = bundle.contents(_specs(root, domain, record), prepared.interface, prepared.arrays)
    declared, made = record.manifest.inputs.files, bundle.digests(files)
    for path in sorted(declared.keys() | made.keys()):
        if declared.get(path) != made.get(path):
            what = f"this checkout makes it otherwise than {domain}/{name} was frozen with"
            raise ResultError(
                Problem(what, advice=f"check out {record.opened.commit or 'the code it was made with'}", file=path)
            )
    return bundle.pack(record.manifest, files, output)


def reproduce(root: Path, domain: str, name: str, report: Report) -> Reproduced:
    """Train every run of a generation again and compare with what was recorded."""
    record = _look_up(root, domain, name)
    (root / ".aams").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reproduce-", dir=root / ".aams") as place:
        work = Path(place)
        archive = _rebuilt(root, domain, record, work)
        returned = LANES["local"].train(archive, work, report)
        prepared = prepare(domain, record.opened.corpus, cache=root / CACHE)
        costs = {spec.id: estimate(spec.tree, prepared.interface) for spec in _specs(root, domain, record)}
        results = read_results(returned.directory, record.manifest, costs)
        weights = {run.name: run.weights for run in results.results.runs if run.status == "finished"}
        if record.generation.weights and record.generation.weights in weights.values():
            first = next(run for run, digest in weights.items() if digest == record.generation.weights)
            store.put(root, results.weights[first], record.generation.weights)
        then = _archived_metrics(record)
        if weights == record.trained.weights:
            return Reproduced(True, True, f"reproduced: the weights of all {len(weights)} runs are equal byte for byte")
        if results.results.fingerprint == then["fingerprint"]:
            differing = sorted(name for name in weights if weights[name] != record.trained.weights.get(name))
            return Reproduced(False, False, f"NOT reproduced on an equal machine: {', '.join(differing)} differ")
        losses = {run.name: run.loss_last for run in results.results.runs if run.status == "finished"}
        recorded = {row["run"]: row["loss_last"] for row in then["training"] if row["status"] == "finished"}
        return _compare_losses(losses, recorded)


def _compare_losses(now: Mapping[str, float], then: Mapping[str, float]) -> Reproduced:
    """Compare the last losses of the runs that finished."""
    once = ", ".join(sorted(now.keys() ^ then.keys()))
    if once:
        return Reproduced(False, False, f"NOT reproduced: finished once and failed once: {once}")
    worst = max((abs(now[name] - loss) / max(abs(loss), 1e-9) for name, loss in then.items()), default=0.0)
    same = worst <= TOLERANCE
    word = "reproduced" if same else "NOT reproduced"
    return Reproduced(
        False,
        same,
        f"{word} on another kind of machine: last losses differ by at most {worst:.2%}, {TOLERANCE:.0%} is allowed",
    )


def _rebuilt(root: Path, domain: str, record: _Record, work: Path) -> Path:
    """The bundle, by this checkout's code where that still makes it, else by the recorded commit's in a worktree."""
    name = record.generation.name
    try:
        return rebuild(root, domain, name, work)
    except AamsError:
        if not record.opened.commit:
            raise
    with git.worktree(root, record.opened.commit, work / "worktree") as code:
        command = [
            sys.executable,
            "-P",
            "-m",
            "aams",
            "rebuild",
            name,
            str(work),
            "--domain",
            domain,
            "--root",
            str(root),
        ]
        answer = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, text=True)
        if answer.returncode != 0:
            raise failure(
                "the recorded commit can't build the bundle", answer.stderr.strip()[-300:], file=record.opened.commit
            )
        return Path(answer.stdout.strip())


def _look_up(root: Path, domain: str, name: str) -> _Record:
    recorded = read_ledger(root)
    lineage = fold(recorded).lineages.get(domain, Lineage())
    generation = next((one for one in lineage.generations if one.name == name and one.archive), None)
    if generation is None:
        known = ", ".join(one.name for one in lineage.generations if one.archive) or "none yet"
        raise failure(f"no such generation in {domain}", name, f"there are: {known}")
    facts = [facts_of(entry) for entry, _ in recorded if entry.cycle == generation.cycle]
    directory = generation_path(root, domain, generation.directory)
    manifest = read_manifest(directory / "manifest.json")
    frozen = [one for one in facts if isinstance(one, Frozen)][-1]
    if manifest_digest(manifest.inputs) != frozen.manifest:
        raise failure(
            "is not the manifest that the ledger names", frozen.manifest, "restore it from Git", file=str(directory)
        )
    opened = next(one for one in facts if isinstance(one, Opened))
    trained = [one for one in facts if isinstance(one, Trained)][-1]
    return _Record(generation, directory, manifest, opened, trained)


def _specs(root: Path, domain: str, record: _Record) -> list[Spec]:
    """The specs of a manifest: the generation's own, and its parent's."""
    own = specs.read(record.directory / "spec.yaml")
    if not record.generation.parent:
        return [own]
    lineage = fold(read_ledger(root)).lineages[domain]
    parent = next(one for one in lineage.generations if one.name == record.generation.parent)
    return [specs.read(generation_path(root, domain, parent.directory) / "spec.yaml"), own]


def _archived_metrics(record: _Record) -> dict[str, Any]:
    path = record.directory / "metrics.json"
    data: dict[str, Any] = read_json(read_bounded(path, 1 << 22), str(path))
    return data
