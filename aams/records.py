"""The nouns of AAMS: frozen records that cross rooms and go to disk.

They carry no behaviour. `canonical.to_data` and `canonical.from_data` are their one way to JSON and back; the ones that
are written to disk carry `schema_version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Arm = Literal["root", "control", "child"]
Stage = Literal["root", "trial", "attempt", "rechallenge"]
Outcome = Literal["accepted", "rejected"]
Standing = Literal["more", "proven", "futile", "undecided"]


@dataclass(frozen=True, slots=True)
class Interface:
    """What a model of a domain takes and gives, as the active corpus says. Unused numbers are 0.

    Attributes:
        vocabulary: different tokens, language and questions.
        tokens: length of one evaluated sequence, or of one question.
        channels, height, width: an image is (channels, height, width), uint8.
        classes: different answers; for language the vocabulary.
    """

    domain: str
    vocabulary: int
    tokens: int
    channels: int
    height: int
    width: int
    classes: int


@dataclass(frozen=True, slots=True)
class Spec:
    """One valid spec: its tree as written (plain JSON data, never modified) and its id."""

    domain: str
    tree: Mapping[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One typed change: at `path`, `before` became `after`. Equal rng, equal mutation."""

    operator: str
    path: str
    before: Any
    after: Any
    rationale: str
    predicted_effect: float


@dataclass(frozen=True, slots=True)
class Child:
    """A proposed spec with where it comes from. `predicted_effect` is a change of fitness, in [-1, 1]."""

    spec: Spec
    parent: str
    planner: str
    mutations: tuple[Mutation, ...]
    rationale: str
    predicted_effect: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one spec costs by the static model. An item is one sequence, image, or image with question.

    Attributes:
        parameters: trainable numbers, exact.
        forward_flops: one item forward; a multiply-add counts two.
        training_flops: one item forward and backward.
        update_flops: matrix products of one optimizer step.
        items: items a training step sees.
        step_flops: training_flops * items + update_flops.
        activation_bytes: kept for the backward pass of one step.
        optimizer_bytes: weights, gradients and optimizer state.
        item_tokens: what one item counts for in the contract's budget: its tokens in language, else 1.
    """

    parameters: int
    forward_flops: int
    training_flops: int
    update_flops: int
    items: int
    step_flops: int
    activation_bytes: int
    optimizer_bytes: int
    item_tokens: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What one gate has against one thing."""

    gate: str
    subject: str
    what: str
    got: str
    advice: str


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one generation's runs; guards that stop a run and say which limit, not the yardstick of fairness."""

    items: int
    steps: int
    memory_bytes: int
    wall_s: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """One training: which spec, which arm, from which seed, for how many steps. `pair` joins a child and a control."""

    name: str
    arm: Arm
    pair: int
    spec: str
    seed: int
    steps: int


@dataclass(frozen=True, slots=True)
class Rung:
    """Where children are compared: after `percent` % of its steps a child goes on if it is among the best `keep`."""

    percent: int
    keep: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a training may depend on; deterministic for a commit and a seed.

    Attributes:
        batch: which of a stage's bundles it is, from 0: an attempt asks for pairs until it is decided.
        generation: the number that a root or an attempt took; "" for trials.
        sealed: commitment to what an attempt's child is, opened after the verdict; "" for trials and roots.
        rungs: where the children of trials are compared; none in other stages.
        files: every file of the bundle but the manifest, path to SHA-256, exact.
        parent: generation of the champion at proposal, or "" for a root.
        parent_weights: digest of the champion's weights, or "".
        digests: name to SHA-256 of what is trusted and not in the bundle: contract, templates, evaluator, domains,
            lock, corpus.
        compute_flops: training FLOPs every run is given.
        confinement: the kinds of isolation a trainer may have worked under, of `aams.confine.ISOLATIONS`.
    """

    schema_version: int
    cycle: str
    stage: Stage
    batch: int
    domain: str
    generation: str
    sealed: str
    parent: str
    parent_weights: str
    corpus: str
    digests: Mapping[str, str]
    files: Mapping[str, str]
    runs: tuple[Run, ...]
    rungs: tuple[Rung, ...]
    compute_flops: int
    budget: Budget
    confinement: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What makes one dispatch unique.

    Attributes:
        nonce: for a single use, 64 hexadecimal digits.
        frozen_at: UTC.
        expires_at: results are not taken after this.
        signature: armoured SSH signature of the statement that the ledger's entry holds; "" where nobody could sign.
    """

    nonce: str
    frozen_at: str
    expires_at: str
    signature: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The frozen declaration of one dispatch. Its digest is that of `inputs`; the envelope is bound beside it."""

    inputs: Inputs
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Entry:
    """One immutable event of the ledger.

    Attributes:
        follows: digests of the entries it follows; the first entry of a cycle follows the tips it observed.
        contract: digest of the contract in force.
        time: UTC, `2026-11-21T01:40:00Z`.
        facts: what the event says, plain JSON.
    """

    schema_version: int
    cycle: str
    number: int
    event: str
    domain: str
    follows: tuple[str, ...]
    contract: str
    time: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fitness:
    """One arm's recomputed scores, means over its runs, all in [0, 1] but `bits` (per byte, or per answer)."""

    recall: float
    generalize: float
    tone_drift: float
    bits: float
    law_violations: int


@dataclass(frozen=True, slots=True)
class Scores:
    """One run's recomputed scores, rounded to the contract's step: accuracies in [0, 1], bits per byte or answer."""

    recall: float
    generalize: float
    bits: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One observation: a child's and a control's run on the same block of the holdout. A root has no control."""

    pair: int
    child: Scores
    control: Scores | None


@dataclass(frozen=True, slots=True)
class Look:
    """Where the sequential test of one attempt stands.

    Attributes:
        attempt: which hypothesis of its lineage it is, from 1.
        discoveries: attempts of the lineage that were accepted before it, placebos among them.
        level: the share of the error budget that this attempt may use; it is proven at an e-value of 1 / level.
        e_value: evidence against "the child is not better", after `pairs` pairs.
        pairs: how many were looked at, in order; later ones are not used.
        gain: estimate of the difference in generalize, shrunken against the winner's curse.
        low, high: anytime-valid 95 % interval of the difference, within [-1, 1].
    """

    attempt: int
    discoveries: int
    level: float
    e_value: float
    pairs: int
    standing: Standing
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the arbiter recomputed of one attempt and is about to judge. A root has no control and no look.

    Attributes:
        best_recall: the highest recall of any champion of this lineage.
        root_drift: tone drift against the lineage's root.
        pairs: those that the look used, in order.
        voice: mean predictive distribution over the probe of the child's runs in the first batch, (classes,).
    """

    child: Fitness
    control: Fitness | None
    best_recall: float
    root_drift: float
    pairs: tuple[Pair, ...]
    voice: tuple[float, ...]
    look: Look | None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of the contract with its numbers; `bound` is what `value` was compared with."""

    name: str
    value: float
    comparison: Literal[">=", "<="]
    bound: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What the arbiter says of one attempt, and why."""

    outcome: Outcome
    criteria: tuple[Criterion, ...]
    reasons: tuple[str, ...]
