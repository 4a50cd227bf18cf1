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

from aams import bundle, git
from aams.errors import AamsError, Problem, ResultError, failure
from aams.files import read_bounded
from aams.lanes import LANES, Report, train
from aams.records import Manifest, Spec
from aams.strict import read_json
from compiler import spec as specs
from compiler.cost import estimate
from domains import prepare
from evaluator.results import Returned, read_results
from safety import store
from safety.archive import MAX_ARTIFACT_BYTES, archived_manifest, check_generation, generation_path
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import Frozen, Opened, Trained, facts_of
from safety.ledger import read_ledger
from safety.lineage import Generation, Lineage
from safety.state import fold

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
    """What the ledger and the archive say of one generation; a manifest and what came of it for each bundle."""

    generation: Generation
    directory: Path
    bundles: tuple[tuple[Manifest, Trained], ...]
    opened: Opened


def rebuild(root: Path, domain: str, name: str, output: Path, batch: int = 0) -> Path:
    """Build a generation's bundle again with this checkout's code and pack it under its frozen manifest.

    Raises:
        ResultError: naming the first file that this checkout makes otherwise than the manifest declares.
    """
    record = _look_up(root, domain, name)
    if not 0 <= batch < len(record.bundles):
        raise failure("no such bundle of this generation", batch, f"it has {len(record.bundles)}, counted from 0")
    manifest = record.bundles[batch][0]
    prepared = prepare(domain, record.opened.corpus, cache=root / CACHE)
    files = bundle.contents(_specs(root, domain, record), prepared.interface, prepared.arrays)
    declared, made = manifest.inputs.files, bundle.digests(files)
    for path in sorted(declared.keys() | made.keys()):
        if declared.get(path) != made.get(path):
            what = f"this checkout makes it otherwise than {domain}/{name} was frozen with"
            raise ResultError(
                Problem(what, advice=f"check out {record.opened.commit or 'the code it was made with'}", file=path)
            )
    return bundle.pack(manifest, files, output)


def reproduce(root: Path, domain: str, name: str, report: Report) -> Reproduced:
    """Train every run of a generation again and compare with what was recorded."""
    record = _look_up(root, domain, name)
    prepared = prepare(domain, record.opened.corpus, cache=root / CACHE)
    costs = {spec.id: estimate(spec.tree, prepared.interface) for spec in _specs(root, domain, record)}
    contract = load_contract(root / CONTRACT_PATH)
    (root / ".aams").mkdir(exist_ok=True)
    found, losses = [], _losses(record)
    for batch, (manifest, trained) in enumerate(record.bundles):
        with tempfile.TemporaryDirectory(prefix="reproduce-", dir=root / ".aams") as place:
            archive = _rebuilt(root, domain, record, Path(place), batch)
            returned = train(LANES["local"](Path(place), contract), archive, Path(place) / "returned", report)
            results = read_results(returned, manifest, costs)
            _restore(root, record.generation.weights, results)
            found.append(compare(results, trained, losses))
    worst = next((one for one in found if not one.same), None) or next(
        (one for one in found if not one.same_bytes), None
    )
    if worst:
        return worst
    count = sum(len(trained.weights) for _, trained in record.bundles)
    return Reproduced(True, True, f"reproduced: the weights of all {count} runs are equal byte for byte")


def _restore(root: Path, wanted: str, results: Returned) -> None:
    """Put a generation's weights back into the store, where they came out as they were."""
    for run in results.results.runs:
        if wanted and run.weights == wanted:
            store.put(root, results.weights[run.name], wanted)


def compare(results: Returned, trained: Trained, losses: Mapping[str, float]) -> Reproduced:
    """Compare a second training of a bundle with the one on record, whose last losses are given by run."""
    weights = {run.name: run.weights for run in results.results.runs if run.status == "finished"}
    if weights == trained.weights:
        return Reproduced(True, True, "reproduced")
    if results.results.fingerprint == trained.fingerprint:
        differing = sorted(name for name in weights if weights[name] != trained.weights.get(name))
        return Reproduced(False, False, f"NOT reproduced on an equal machine: {', '.join(differing)} differ")
    now = {run.name: run.loss_last for run in results.results.runs if run.status == "finished"}
    once = ", ".join(sorted(now.keys() ^ trained.weights.keys()))
    if once:
        return Reproduced(False, False, f"NOT reproduced: finished once and failed once: {once}")
    return _compare_losses(now, {name: losses[name] for name in now.keys() & losses.keys()})


def _compare_losses(now: Mapping[str, float], then: Mapping[str, float]) -> Reproduced:
    """Compare the last losses of the runs that finished; there are some on record of every control at least."""
    worst = max((abs(now[name] - loss) / max(abs(loss), 1e-9) for name, loss in then.items()), default=0.0)
    same = worst <= TOLERANCE
    word = "reproduced" if same else "NOT reproduced"
    return Reproduced(
        False,
        same,
        f"{word} on another kind of machine: last losses differ by at most {worst:.2%}, {TOLERANCE:.0%} is allowed",
    )


def _rebuilt(root: Path, domain: str, record: _Record, work: Path, batch: int) -> Path:
    """The bundle, by this checkout's code where that still makes it, else by the recorded commit's in a worktree."""
    name = record.generation.name
    try:
        return rebuild(root, domain, name, work, batch)
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
            "--batch",
            str(batch),
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
    opened = next(one for one in facts if isinstance(one, Opened))
    trained = [one for one in facts if isinstance(one, Trained) and one.stage != "trial"]
    bundles = []
    for one in (one for one in facts if isinstance(one, Frozen) and one.stage != "trial"):
        bundles.append((archived_manifest(directory, one), trained[one.batch]))
    return _Record(generation, directory, tuple(bundles), opened)


def _losses(record: _Record) -> dict[str, float]:
    """Last losses of a generation's runs, by name, as it archived them: the ledger never tells the sealed child's."""
    check_generation(record.directory, record.generation.archive)
    path = record.directory / "metrics.json"
    metrics = read_json(read_bounded(path, MAX_ARTIFACT_BYTES), str(path), MAX_ARTIFACT_BYTES)
    return {run["run"]: run["loss_last"] for run in metrics["training"] if run["loss_last"] is not None}


def _specs(root: Path, domain: str, record: _Record) -> list[Spec]:
    """The specs of a manifest: the generation's own, and its parent's."""
    own = specs.read(record.directory / "spec.yaml")
    if not record.generation.parent:
        return [own]
    lineage = fold(read_ledger(root)).lineages[domain]
    parent = next(one for one in lineage.generations if one.name == record.generation.parent)
    return [specs.read(generation_path(root, domain, parent.directory) / "spec.yaml"), own]
