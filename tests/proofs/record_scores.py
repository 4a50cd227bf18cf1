"""Record what the proofs resample: real trainings of the baselines, scored item by item on their holdouts.

    python tests/proofs/record_scores.py [DOMAIN ...]

Trains each domain's baseline anew through the local lane, all runs equal but for their seeds, and scores every run on
the same holdout items. Writes `scores/<domain>.safetensors`: a header that says where it comes from, and

    hits  (runs, items / 8) uint8, vision and hybrid: bit i (big end first) says whether item i was answered right;
          (runs, windows) uint8, language: how many of a window's 256 bytes were predicted right, 255 for all 256.

Items lie block by block, as the arbiter would have drawn them. A domain takes a few minutes on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from aams.canonical import canonical_json
from aams.cycle.lab import baseline
from aams.dispatch import Plan, dispatch, plan_runs
from aams.lanes import LANES, train
from aams.records import Envelope, Inputs
from aams.worker import Worker
from compiler.cost import estimate
from compiler.render import render
from domains import DOMAINS, draw_holdout, prepare
from evaluator.results import read_results
from safety.contract import CONTRACT_PATH, load_contract
from safety.manifest import new_nonce

ROOT = Path(__file__).parents[2]
SCORES = Path(__file__).with_name("scores")
RUNS = 48
AT_ONCE = 8
"""Runs in a bundle: the contract limits the time of all of them together."""
BLOCKS = {"language": 17, "vision": 16, "hybrid": 16}
"""Of the holdout, at least as many as an attempt may use; language's text has no more."""
SEED = b"recorded scores, version 1"


def record(domain: str, place: Path) -> None:
    """Train, score and write one domain's runs, working in `place`."""
    contract, spec = load_contract(ROOT / CONTRACT_PATH), baseline(domain)
    prepared = prepare(domain, cache=place / "cache")
    costs = {spec.id: estimate(spec.tree, prepared.interface)}
    compute = DOMAINS[domain].COMPUTE_FLOPS
    drawn = draw_holdout(domain, prepared, SEED, BLOCKS[domain])
    items = len(next(iter(drawn.values())))
    holdout, model = place / "holdout.safetensors", place / "model.py"
    holdout.write_bytes(save(drawn))
    model.write_bytes(render(spec, prepared.interface).encode("ascii"))
    rows: list[NDArray[np.uint8]] = []
    for batch in range(RUNS // AT_ONCE):
        cycle = f"{domain}-recorded-scores"
        pairs = range(batch * AT_ONCE, (batch + 1) * AT_ONCE)
        runs = plan_runs("root", spec, [], costs, compute, cycle, pairs)
        plan = Plan(cycle, "root", batch, domain, "G000", "", "", "", (spec,), runs, compute)
        envelope = Envelope(new_nonce(), "2026-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "")
        sent = dispatch(place, plan, prepared, contract, partial(sealed_by, envelope))
        returned = train(LANES["local"](sent.work, contract), sent.archive, sent.work / "returned", lambda event: None)
        results = read_results(returned, sent.manifest, costs)
        jobs = [job(domain, model, results.weights[run.name], holdout, items) for run in runs]
        with Worker(ROOT) as worker:
            rows += [hits(domain, answer) for answer in worker.ask_all(jobs)]
        environment = asdict(results.results.environment)
        print(f"{domain}: {len(rows)} of {RUNS} runs", flush=True)
    facts = {
        "domain": domain,
        "spec": spec.id,
        "corpus": prepared.corpus_id,
        "corpus_digest": prepared.digest,
        "compute_flops": compute,
        "cycle": f"{domain}-recorded-scores",
        "holdout_seed": SEED.decode("ascii"),
        "items": items,
        "blocks": BLOCKS[domain],
        "environment": environment,
    }
    SCORES.mkdir(exist_ok=True)
    header = {"recorded": canonical_json(facts).decode("ascii")}
    (SCORES / f"{domain}.safetensors").write_bytes(save({"hits": np.stack(rows)}, metadata=header))


def sealed_by(envelope: Envelope, inputs: Inputs) -> Envelope:
    """Declare no signer: nobody is to take these runs for a cycle's."""
    return envelope


def job(domain: str, model: Path, weights: Path, holdout: Path, items: int) -> dict[str, Any]:
    """The question that the arbiter asks, here of every run on all blocks."""
    splits = {"holdout": {"file": str(holdout), "start": 0, "stop": items}}
    return {"job": "evaluate", "model": str(model), "weights": str(weights), "domain": domain, "splits": splits}


def hits(domain: str, answer: dict[str, Any]) -> NDArray[np.uint8]:
    """One run's row."""
    accuracy: NDArray[np.float64] = np.array(answer["splits"]["holdout"]["accuracy"])
    if domain == "language":
        return np.minimum(np.rint(accuracy * 256), 255).astype(np.uint8)
    return np.packbits(accuracy > 0.5)


if __name__ == "__main__":
    for name in sys.argv[1:] or DOMAINS:
        with tempfile.TemporaryDirectory(prefix="aams-scores-") as folder:
            record(name, Path(folder))
