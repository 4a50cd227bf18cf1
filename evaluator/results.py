"""Strict reading of what a lane brought back: `results.json` and the weights beside it, both as hostile input.

Takes a directory and the frozen manifest, gives frozen records whose every identity, count and digest was held against
the manifest. The scores in them are claims: whoever decides recomputes them. Never runs or imports anything it reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aams.canonical import SHA256, digest, from_data, sha256, to_data
from aams.errors import AamsError, Problem, ResultError
from aams.files import digest_file, is_leftover, read_bounded
from aams.records import Cost, Manifest, Run
from aams.strict import read_json
from evaluator.rungs import DROPPED, Decided, misfit
from safety.clock import is_time
from safety.manifest import TAKEN, manifest_digest

RESULTS_NAME = "results.json"
SCHEMA_VERSION = 1
MAX_RESULTS_BYTES = 4 * 1024 * 1024
CURVE_POINTS = 64
MAX_VIOLATIONS = 100
MOST = 10**15
"""Of anything that was measured, in its unit; sums of it are numbers still."""
TIMINGS = frozenset({"wall_s", "cpu_s", "train_cpu_s", "latency_ms", "peak_memory_bytes"})
STATUSES = ("finished", "stopped", "failed", DROPPED)

_TEXT = re.compile(r"[ -~]{0,300}")


@dataclass(frozen=True, slots=True)
class Validation:
    """What the trainer says of the validation data: accuracy in [0, 1], bits per byte or answer."""

    accuracy: float
    bits: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """One training as it came back. Numbers are 0 where the run did not get as far.

    Attributes:
        reason: why it did not finish, "" when it did.
        loss_first, loss_last: in nats.
        curve: [step, mean loss since the point before], at every `interval` of its steps.
        weights: digest of its safetensors; "" unless it finished.
        timing: what the trainer measured, keys of `TIMINGS`; all of them when it finished.
    """

    name: str
    arm: str
    pair: int
    spec: str
    seed: int
    status: str
    reason: str
    steps: int
    items: int
    loss_first: float
    loss_last: float
    curve: tuple[tuple[float, ...], ...]
    validation: Validation
    parameters: int
    weights: str
    weights_bytes: int
    law_violations: tuple[str, ...]
    timing: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Environment:
    """What the trained bytes depend on beside the bundle.

    Attributes:
        deterministic: what torch does about an operation that is not: error, warn or off.
        device: the accelerator's name, or cpu.
        compute, driver, cuda, cudnn: its capability and the versions of what drives it; "" on a cpu.
    """

    python: str
    torch: str
    numpy: str
    platform: str
    processor: str
    capability: str
    threads: int
    deterministic: str
    device: str
    compute: str
    driver: str
    cuda: str
    cudnn: str


@dataclass(frozen=True, slots=True)
class Started:
    """When the whole bundle was trained, and how long it took."""

    started_at: str
    wall_s: float


@dataclass(frozen=True, slots=True)
class Results:
    """All of `results.json`.

    Attributes:
        rungs: what was decided about the children of a trial, replayed.
        fingerprint: digest of `environment`.
        isolation: what confined the trainer.
    """

    schema_version: int
    manifest: str
    nonce: str
    runs: tuple[RunResult, ...]
    rungs: tuple[Decided, ...]
    environment: Environment
    fingerprint: str
    isolation: str
    timing: Started


@dataclass(frozen=True, slots=True)
class Returned:
    """Results that are bound to their manifest, in its order. `digest` is that of the file's exact bytes."""

    results: Results
    digest: str
    weights: Mapping[str, Path]


def read_results(folder: Path, manifest: Manifest, costs: Mapping[str, Cost]) -> Returned:
    """Read what came back for one manifest.

    Args:
        folder: holds results.json and `<run>.safetensors` of every finished run. The trainer's own notes,
            `<run>.json`, `rungs.json` and `progress.json`, may lie there too and are not read.
        manifest: the frozen one; a returned copy counts for nothing.
        costs: what each spec of the manifest costs, by id.

    Raises:
        ResultError: naming the first thing that is not what the manifest demands.
        AamsError: results.json is missing, too large or not strict JSON.
    """
    path = folder / RESULTS_NAME
    content = read_bounded(path, MAX_RESULTS_BYTES)
    results = parse_results(content, path)
    _check_whole(results, manifest, path)
    by_name = {result.name: result for result in results.runs}
    for run in manifest.inputs.runs:
        _check_run(by_name[run.name], run, costs[run.spec], path)
    _check_own(manifest, by_name, path)
    odd = misfit(manifest.inputs, results.rungs, by_name)
    _must(path, odd.partition(": ")[0], not odd, odd.partition(": ")[2])
    finished = [result for result in results.runs if result.status == "finished"]
    _check_folder(folder, manifest, {f"{result.name}.safetensors" for result in finished})
    weights = {result.name: folder / f"{result.name}.safetensors" for result in finished}
    for result in finished:
        _check_file(weights[result.name], result)
    ordered = replace(results, runs=tuple(by_name[run.name] for run in manifest.inputs.runs))
    return Returned(ordered, sha256(content), weights)


def parse_results(content: bytes, path: Path) -> Results:
    """Results as their file says, bound to nothing.

    Raises:
        ResultError: it is not strict JSON, or not of this form.
    """
    try:
        return from_data(Results, read_json(content, str(path), MAX_RESULTS_BYTES, max_depth=8), str(path))
    except AamsError as error:
        raise ResultError(*error.problems) from None


def _check_whole(results: Results, manifest: Manifest, path: Path) -> None:
    inputs = manifest.inputs
    names = [result.name for result in results.runs]
    _same(path, "schema_version", results.schema_version, SCHEMA_VERSION)
    _same(path, "manifest", results.manifest, manifest_digest(inputs))
    _same(path, "nonce", results.nonce, manifest.envelope.nonce)
    _same(path, "runs", sorted(names), sorted(run.name for run in inputs.runs))
    _same(path, "fingerprint", results.fingerprint, digest(to_data(results.environment)))
    texts = [*to_data(results.environment).values(), results.isolation]
    _must(
        path,
        "environment",
        all(_TEXT.fullmatch(text) for text in texts if isinstance(text, str)),
        "must be short plain text",
    )
    _must(path, "environment.threads", results.environment.threads >= 1, "must be at least 1")
    _must(path, "timing.started_at", is_time(results.timing.started_at), "must be UTC, like 2026-11-21T01:40:00Z")
    _must(path, "timing.wall_s", 0 <= results.timing.wall_s <= MOST, f"must be from 0 to {MOST:,}")


def _check_run(result: RunResult, run: Run, cost: Cost, path: Path) -> None:
    at = f"runs.{run.name}"
    for name in ("arm", "pair", "spec", "seed"):
        _same(path, f"{at}.{name}", getattr(result, name), getattr(run, name))
    is_finished = result.status == "finished"
    _must(path, f"{at}.status", result.status in STATUSES, f"must be one of {', '.join(STATUSES)}")
    _must(path, f"{at}.reason", bool(_TEXT.fullmatch(result.reason)), "must be short plain text")
    _must(path, f"{at}.reason", is_finished == (not result.reason), "must be given exactly when the run did not finish")
    _must(path, f"{at}.steps", 0 <= result.steps <= run.steps, f"must be at most the planned {run.steps}")
    _must(
        path,
        f"{at}.steps",
        not is_finished or result.steps == run.steps,
        f"must be the planned {run.steps} of a finished run",
    )
    _must(path, f"{at}.items", result.items == result.steps * cost.items, f"must be {cost.items} for each step")
    _check_log(result, run, path, at)
    violations = result.law_violations
    _must(path, f"{at}.law_violations", len(violations) <= MAX_VIOLATIONS, f"must be at most {MAX_VIOLATIONS}")
    _must(path, f"{at}.law_violations", all(map(_TEXT.fullmatch, violations)), "must be short plain texts")
    _must(
        path,
        f"{at}.law_violations",
        not violations or result.status in ("failed", "stopped"),
        "must be none in a run that finished or was dropped",
    )
    _must(path, f"{at}.validation.accuracy", 0 <= result.validation.accuracy <= 1, "must lie in [0, 1]")
    _must(path, f"{at}.validation.bits", result.validation.bits >= 0, "must not be negative")
    _must(path, f"{at}.timing", set(result.timing) <= TIMINGS, f"must be of {', '.join(sorted(TIMINGS))}")
    is_possible = all(0 <= time <= MOST for time in result.timing.values())
    _must(path, f"{at}.timing", is_possible, f"must be from 0 to {MOST:,}")
    if is_finished:
        _must(
            path,
            f"{at}.parameters",
            result.parameters == cost.parameters,
            f"must be the {cost.parameters} of the cost model",
        )
        _must(path, f"{at}.timing", set(result.timing) == TIMINGS, "must be whole when the run finished")
        _must(path, f"{at}.weights", bool(SHA256.fullmatch(result.weights)), "must be a SHA-256 digest")
    else:
        _must(path, f"{at}.parameters", result.parameters >= 0, "must not be negative")
        _must(
            path,
            f"{at}.weights",
            result.weights == "" and result.weights_bytes == 0,
            "must be empty unless the run finished",
        )


def _check_own(manifest: Manifest, results: Mapping[str, RunResult], path: Path) -> None:
    """See that each finished run has weights of its own: seeds differ, so equal weights are one training told twice.

    Else a lane could return its luckiest child and its unluckiest control for every pair, and no noise would be left.
    """
    owners = {manifest.inputs.parent_weights: f"the champion {manifest.inputs.parent}"}
    for run in manifest.inputs.runs:
        weights = results[run.name].weights
        other = owners.setdefault(weights, run.name) if weights else run.name
        _must(path, f"runs.{run.name}.weights", other == run.name, f"must be its own, not those of {other}", weights)


def _check_log(result: RunResult, run: Run, path: Path, at: str) -> None:
    """See that the losses are such as a training of these steps leaves behind: a claim still, but a possible one."""
    interval = -(-run.steps // CURVE_POINTS)
    planned = [*range(interval, run.steps, interval), run.steps]
    steps = [point[0] if len(point) == 2 else -1 for point in result.curve]
    is_due = steps == planned[: len(steps)] and (not steps or steps[-1] <= result.steps)
    is_whole = result.status != "finished" or len(steps) == len(planned)
    _must(path, f"{at}.curve", is_due and is_whole, f"must be [step, loss] at every {interval} of {run.steps} steps")
    losses = [result.loss_first, result.loss_last, *(loss for _, loss in result.curve)]
    _must(path, f"{at}.curve", min(losses) >= 0, "must be of losses in nats, which are not negative")
    _must(path, f"{at}.loss_last", not losses[2:] or losses[1] == losses[-1], "must be the last of the curve")


def _check_folder(folder: Path, manifest: Manifest, weights: set[str]) -> None:
    notes = {f"{name}.json" for name in (*TAKEN, *(run.name for run in manifest.inputs.runs))}
    found = {path.name for path in folder.iterdir() if not is_leftover(path)}
    for name in sorted(found - weights - notes):
        raise ResultError(Problem("is not a file that the manifest's runs return", file=str(folder / name)))
    for name in sorted(weights - found):
        raise ResultError(Problem("is missing, and its run is said to have finished", file=str(folder / name)))


def _check_file(path: Path, result: RunResult) -> None:
    got = digest_file(path)
    if got != result.weights:
        raise ResultError(Problem(f"should have the SHA-256 {result.weights}", got, "fetch it again", str(path)))
    _must(
        path,
        "length",
        path.stat().st_size == result.weights_bytes,
        f"must be the {result.weights_bytes} bytes of results.json",
    )


def _same(path: Path, name: str, got: object, wanted: object) -> None:
    _must(path, name, type(got) is type(wanted) and got == wanted, f"must be {str(wanted)[:200]}, as frozen", got)


def _must(path: Path, name: str, holds: bool, what: str, got: object = "") -> None:
    if not holds:
        raise ResultError(
            Problem(
                what, str(got)[:200], "these results belong to another dispatch or were changed", str(path), path=name
            )
        )
