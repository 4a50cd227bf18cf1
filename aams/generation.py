"""The artifacts of one generation, as bytes by name.

Takes what was frozen, trained, recomputed and decided; gives the files of the generation's directory but hashes.csv and
the weights, which the archive adds. Nothing here is computed anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aams.canonical import canonical_json, to_data
from aams.records import Interface, Manifest, Spec
from compiler.identity import full
from compiler.render import render
from evaluator.picture import picture
from evaluator.report import Dossier, eval_report, model_card
from evaluator.results import Environment, RunResult
from safety.archive import PICTURE, manifest_name
from safety.events import Trained


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that is known of an attempt when its verdict falls.

    Attributes:
        text: the spec as YAML, with its comments.
        manifests, trained: of its bundles, in order.
        reported: what its runs reported, by name, as far as that is at hand: the ledger leaves the sealed child out.
        environment: what the last bundle was trained in; None when it never came back.
        time: of its beginning, as its directory has it.
        contract: the file that it was decided under, so that who comes later can compute the decision again.
    """

    spec: Spec
    text: str
    interface: Interface
    manifests: tuple[Manifest, ...]
    trained: tuple[Trained, ...]
    reported: Mapping[str, RunResult]
    environment: Environment | None
    dossier: Dossier
    time: str
    contract: bytes


def artifacts(attempt: Attempt) -> dict[str, bytes]:
    """Write every artifact."""
    inputs, tree = attempt.manifests[0].inputs, full(attempt.spec.tree)
    own = [run for manifest in attempt.manifests for run in manifest.inputs.runs if run.spec == attempt.spec.id]
    decision = attempt.dossier.decision
    passed = decision.outcome == "accepted"
    return {
        "spec.yaml": attempt.text.encode(),
        "contract.yaml": attempt.contract,
        "model.py": render(attempt.spec, attempt.interface).encode("ascii"),
        **{manifest_name(batch): canonical_json(to_data(manifest)) for batch, manifest in enumerate(attempt.manifests)},
        "config.json": _json(
            {
                "interface": to_data(attempt.interface),
                "model": tree["model"],
                "spec": attempt.spec.id,
                "tree": attempt.spec.tree,
            }
        ),
        "train_args.json": _json(
            {"training": tree["training"], "runs": to_data(own), "compute_flops": inputs.compute_flops}
        ),
        "data_delta.sha256": f"{inputs.digests['corpus']}  {inputs.corpus}\n".encode("ascii"),
        "parent_gen.txt": f"{inputs.parent or 'none'}\n".encode("ascii"),
        "metrics.json": _json(_metrics(attempt)),
        "EVAL.md": eval_report(attempt.dossier).encode("ascii"),
        "MODEL_CARD.md": model_card(attempt.dossier).encode("ascii"),
        "STATUS": ("PASSED\n" if passed else "FAILED\n" + "\n".join(decision.reasons) + "\n").encode(
            "ascii", "backslashreplace"
        ),
        **_interfaces(attempt.interface),
        **_picture(attempt),
    }


def _picture(attempt: Attempt) -> Mapping[str, bytes]:
    evidence = attempt.dossier.evidence
    if evidence is None or evidence.look is None:
        return {}
    return {PICTURE: picture(evidence.pairs, attempt.dossier.wanted_gain).encode("ascii")}


def _metrics(attempt: Attempt) -> dict[str, Any]:
    dossier, evidence = attempt.dossier, attempt.dossier.evidence
    return {
        "schema_version": 1,
        "generation": dossier.generation,
        "parent": attempt.manifests[0].inputs.parent,
        "time": attempt.time,
        "cost": to_data(dossier.cost),
        "child": to_data(evidence.child) if evidence else None,
        "control": to_data(evidence.control) if evidence else None,
        "pairs": to_data(evidence.pairs) if evidence else [],
        "look": to_data(evidence.look) if evidence else None,
        "decision": to_data(dossier.decision),
        "training": [
            {
                "run": run.name,
                "status": run.status,
                "steps": attempt.reported.get(run.name, run).steps,
                "loss_last": attempt.reported.get(run.name, run).loss_last,
                "weights": trained.weights.get(run.name, ""),
            }
            for trained in attempt.trained
            for run in trained.runs
        ],
        "cpu_s": _cpu_s(attempt),
        "environment": to_data(attempt.environment),
        "fingerprints": [trained.fingerprint for trained in attempt.trained],
        "isolation": [trained.isolation for trained in attempt.trained],
    }


def _cpu_s(attempt: Attempt) -> float:
    """What its runs took; where their reports are not at hand, what the ledger has, the child's as its control's."""
    if not all(run.name in attempt.reported for trained in attempt.trained for run in trained.runs):
        return round(sum(trained.cpu_s for trained in attempt.trained), 3)
    return round(sum(run.timing.get("cpu_s", 0.0) for run in attempt.reported.values()), 3)


def _interfaces(interface: Interface) -> Mapping[str, bytes]:
    """How inputs become numbers: bytes are their own tokens, pixels are scaled."""
    tokenizer = {"type": "bytes", "vocabulary": interface.vocabulary, "tokens": interface.tokens}
    if interface.domain == "hybrid":
        tokenizer["padding"] = "zeros on the left"
    shape = [interface.channels, interface.height, interface.width]
    preprocessor = {"type": "pixels", "shape": shape, "scale": "(x / 255 - 0.5) / 0.25", "classes": interface.classes}
    files = {}
    if interface.vocabulary:
        files["tokenizer.json"] = _json(tokenizer)
    if interface.channels:
        files["preprocessor.json"] = _json(preprocessor)
    return files


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
