"""The contract: what AAMS may spend, read and promote, in exact numbers.

Takes `safety/contract.yaml`, gives a frozen record whose thresholds are the decimals a person wrote. Never fills in a
default and never changes the file: people do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from aams.canonical import from_data, sha256
from aams.errors import AamsError
from aams.files import read_bounded
from aams.records import Budget
from aams.strict import MAX_YAML_BYTES, read_yaml

CONTRACT_PATH = "safety/contract.yaml"
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
    """How a child gets to the holdout, and what is released about it."""

    screen_margin: Decimal
    pairs: int
    holdout_step: Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """The whole contract. `digest` is the SHA-256 of the file's exact bytes; `data` lists corpus ids by domain."""

    schema_version: int
    budget: Budget
    data: Mapping[str, tuple[str, ...]]
    criteria: Criteria
    promotion: Promotion
    digest: str


def load_contract(path: Path) -> Contract:
    """Read and check a contract.

    Raises:
        AamsError: with line, column and path of everything that does not fit its schema.
    """
    from jsonschema import Draft7Validator

    content = read_bounded(path, MAX_YAML_BYTES)
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
    return from_data(Contract, {**document.data, "digest": sha256(content)}, str(path))
