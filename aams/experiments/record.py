"""What is known of one experiment: a record of plain values, so that a table has one column for each of its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aams.records import Stage, Standing

Outcome = Literal[
    "open",
    "refused",
    "dropped",
    "stopped",
    "failed",
    "screened-out",
    "outscored",
    "chosen",
    "waiting",
    "accepted",
    "rejected",
    "placebo",
    "declined",
    "abandoned",
    "expired",
    "confirmed",
    "outdone",
]
"""Of a trial: refused by a gate; dropped at a rung, stopped by a limit, failed; screened out with its whole cycle;
outscored by a sibling; chosen. Of an attempt: waiting for the second key, or how it ended. Of a re-challenge: the
champion stood, or was outdone. Of any: open, or ended with its cycle by a person or a deadline."""

STAGES: tuple[Stage, ...] = get_args(Stage)
STANDINGS: tuple[Standing, ...] = get_args(Standing)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One spec in one stage of one cycle. None: not on record, or not yet.

    Attributes:
        opened, closed: when its cycle began and ended, UTC.
        reasons: why it came out so, joined by "; ".
        generation: of an attempt and a root its own, of a re-challenge the champion's.
        parent: the champion's generation when it was tried; of a re-challenge the predecessor it is held against.
        spec, parent_spec: ids; an attempt's is sealed until the verdict.
        placebo: whether an attempt was one, from its reveal on.
        operators, paths: of its mutations, joined by "; ".
        before, after: JSON lists, one item a mutation.
        predicted_effect: change of fitness that its planner expected.
        parameters, forward_flops, step_flops: by the static cost model.
        memory_bytes: activations, weights, gradients and optimizer state of a training step, by the same.
        validation, control_validation: accuracy in [0, 1] at the screen.
        recall, generalize, tone_drift, bits, law_violations: the released scores, means over `runs`.
        control_generalize: the released score of the incumbent control.
        runs: trainings of the spec that were scored on the holdout.
        generalize_sd: standard deviation of their scores; of one run there is none.
        generalize_low, generalize_high: Student's 95 % interval of their mean.
        pairs: those that the test used; the differences, child less control, are over them.
        gain: estimate of the difference, shrunken against the winner's curse.
        gain_low, gain_high: its anytime-valid 95 % interval.
        e_value, evidence_needed: what the test came to, and what proves a gain.
        attempt: which hypothesis of its lineage it is, from 1.
        corpus: what its lineage is trained on.
        commit: the Git commit that its cycle began on.
        used_flops: training FLOPs of its own runs, without its control's; an attempt's as they were accounted.
        bundle_cpu_s, bundle_wall_s: of all the bundles that it was trained in, its control and siblings included.
        device: the accelerator's name, or cpu, as the archive of a generation with the same fingerprint has it.
        isolation, fingerprint: of its last bundle.
    """

    domain: str
    cycle: str
    opened: str
    closed: str | None
    stage: Stage
    outcome: Outcome
    reasons: str | None
    generation: str | None
    parent: str | None
    spec: str | None
    parent_spec: str | None
    placebo: bool | None = None
    operators: str | None = None
    paths: str | None = None
    before: str | None = None
    after: str | None = None
    rationale: str | None = None
    predicted_effect: float | None = None
    parameters: int | None = None
    forward_flops: int | None = None
    step_flops: int | None = None
    memory_bytes: int | None = None
    validation: float | None = None
    control_validation: float | None = None
    recall: float | None = None
    generalize: float | None = None
    tone_drift: float | None = None
    bits: float | None = None
    law_violations: int | None = None
    control_generalize: float | None = None
    runs: int | None = None
    generalize_sd: float | None = None
    generalize_low: float | None = None
    generalize_high: float | None = None
    pairs: int | None = None
    difference: float | None = None
    difference_sd: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    e_value: float | None = None
    evidence_needed: float | None = None
    standing: Standing | None = None
    attempt: int | None = None
    seed: int | None = None
    planner: str | None = None
    trigger: str | None = None
    corpus: str | None = None
    commit: str | None = None
    used_flops: int | None = None
    bundle_cpu_s: float | None = None
    bundle_wall_s: float | None = None
    device: str | None = None
    isolation: str | None = None
    fingerprint: str | None = None
