"""The contract: what AAMS may spend, read and promote, in exact numbers.

Takes `safety/contract.yaml`, gives a frozen record whose thresholds are the decimals a person wrote. Never fills in a
default and never changes the file: people do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Literal

from aams import git
from aams.canonical import from_data, sha256
from aams.errors import AamsError, failure
from aams.files import read_bounded
from aams.records import Budget
from aams.strict import MAX_YAML_BYTES, read_yaml

CONTRACT_PATH = "safety/contract.yaml"
ARCHIVED = "specs/history/*/*/contract.yaml"
SCHEMA_FILE = Path(__file__).with_name("contract.schema.json")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a child must hold to be accepted; scores in [0, 1]."""

    recall_drop: Decimal
    recall_best_drop: Decimal
    recall_floor: Decimal
    generalize_gain: Decimal
    tone_drift: Decimal
    tone_drift_root: Decimal
    law_violations: int


@dataclass(frozen=True, slots=True)
class Promotion:
    """When a gain counts as proven, and what is released about it.

    Attributes:
        alpha: bound of the false discovery rate over a lineage's life.
        pairs_min, pairs_max: pairs before the first look, and at the end of an attempt.
        screen_margin: what a trial must beat the control by, on validation.
        placebo_rate: share of attempts whose child is the champion in disguise.
        holdout_step: released scores are rounded to this.
        epoch_attempts: attempts that one holdout may judge in a lineage.
        rechallenge_days: age at which a champion is to be tested again.
    """

    alpha: Decimal
    pairs_min: int
    pairs_max: int
    screen_margin: Decimal
    placebo_rate: Decimal
    holdout_step: Decimal
    epoch_attempts: int
    rechallenge_days: int


@dataclass(frozen=True, slots=True)
class Month:
    """Training FLOPs of a calendar month, all domains together."""

    training_flops: int


@dataclass(frozen=True, slots=True)
class Data:
    """Corpus ids allowed by domain, and shell patterns of sources that are refused even so."""

    allowed: Mapping[str, tuple[str, ...]]
    forbidden: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Seconds between two promotions of a lineage, by who asks for the next one."""

    schedule_s: int
    person_s: int


@dataclass(frozen=True, slots=True)
class Karma:
    """What a schedule needs to start an attempt, what earns it, and how near a prediction must be to count."""

    attempt: int
    trial: int
    calibrated: int
    band: Decimal


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a cycle may stay in each state, in seconds."""

    propose_s: int
    train_s: int
    verify_s: int


@dataclass(frozen=True, slots=True)
class Kaggle:
    """Sessions at Kaggle.

    Attributes:
        machine: as Kaggle names its accelerators; "" for none.
        limit_s: after which a session is ended.
        sessions: at a time.
    """

    machine: Literal["", "NvidiaTeslaT4", "NvidiaTeslaP100"]
    limit_s: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Cut:
    """After `percent` % of their steps, of the children of a trial one in `keep_one_in` goes on, rounded up."""

    percent: int
    keep_one_in: int


@dataclass(frozen=True, slots=True)
class Law:
    """One law of training."""

    law: int
    name: str
    says: str


@dataclass(frozen=True, slots=True)
class Contract:
    """The whole contract.

    Attributes:
        approvers: logins on GitHub whose review counts as the second key.
        rungs: by domain, in order; a domain that is not named has none.
        confinement: the kinds of isolation that results may have been trained under, of `aams.confine.ISOLATIONS`.
        digest: SHA-256 of the file's exact bytes.
    """

    schema_version: int
    budget: Budget
    month: Month
    data: Data
    criteria: Criteria
    promotion: Promotion
    rungs: Mapping[str, tuple[Cut, ...]]
    cooldown: Cooldown
    karma: Karma
    autonomy: Literal["manual", "supervised", "autonomous"]
    approvers: tuple[str, ...]
    deadlines: Deadlines
    confinement: tuple[str, ...]
    kaggle: Kaggle
    laws: tuple[Law, ...]
    digest: str


def load_contract(path: Path) -> Contract:
    """Read and check a contract.

    Raises:
        AamsError: with line, column and path of everything that does not fit its schema.
    """
    return _read(read_bounded(path, MAX_YAML_BYTES), path)


def load_contracts(root: Path, wanted: Collection[str]) -> dict[str, Contract]:
    """Contracts by digest: the one in force, and those wanted that were, from the archives of generations and from Git.

    An earlier one that does not fit today's schema is left out. A bare ledger, without a contract, has none in force.

    Raises:
        AamsError: the one in force does not fit its schema.
    """
    place = root / CONTRACT_PATH
    present = [load_contract(place)] if place.exists() else []
    found = {contract.digest: contract for contract in present}
    missing = set(wanted) - found.keys()
    for content in _earlier(root) if missing else ():
        if sha256(content) in missing:
            missing.remove(sha256(content))
            with contextlib.suppress(AamsError):
                found[sha256(content)] = _read(content, place)
        if not missing:
            break
    return found


def _earlier(root: Path) -> Iterator[bytes]:
    for archived in sorted(root.glob(ARCHIVED)):
        yield read_bounded(archived, MAX_YAML_BYTES)
    for commit in git.commits_that_changed(root, CONTRACT_PATH):
        yield git.tracked_bytes(root, commit, CONTRACT_PATH) or b""


def _read(content: bytes, path: Path) -> Contract:
    from jsonschema import Draft7Validator

    document = read_yaml(content, str(path), parse_float=Decimal)
    schema = json.loads(SCHEMA_FILE.read_bytes())
    misfits = sorted(
        Draft7Validator(schema).iter_errors(document.data), key=lambda misfit: list(map(str, misfit.absolute_path))
    )
    if misfits:
        advice = f"{SCHEMA_FILE.name} says what fits"
        raise AamsError(
            *(document.problem(tuple(misfit.absolute_path), misfit.message, advice=advice) for misfit in misfits)
        )
    contract = from_data(Contract, {**document.data, "digest": sha256(content)}, str(path))
    if contract.promotion.pairs_min > contract.promotion.pairs_max:
        raise failure("promotion.pairs_min is above promotion.pairs_max", contract.promotion.pairs_min, file=str(path))
    for domain, cuts in contract.rungs.items():
        for earlier, later in pairwise(cuts):
            if earlier.percent >= later.percent or earlier.keep_one_in >= later.keep_one_in:
                what = f"rungs.{domain} must rise in percent and in keep_one_in"
                raise failure(what, later.percent, file=str(path))
    numbers = [law.law for law in contract.laws]
    if numbers != sorted(set(numbers)):
        raise failure("laws must be numbered in order", ", ".join(map(str, numbers)), file=str(path))
    return contract
