from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from aams.canonical import sha256
from aams.errors import AamsError
from domains import DOMAINS, load_corpora
from safety.contract import CONTRACT_PATH, load_contract

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / CONTRACT_PATH).read_text(encoding="utf-8")


def test_the_contract_of_this_repository_holds_the_agreed_numbers() -> None:
    contract = load_contract(ROOT / CONTRACT_PATH)
    assert contract.budget.items == 10_000_000
    assert contract.budget.steps == 2_000
    assert contract.budget.wall_s == 3_600
    assert contract.criteria.generalize_gain == Decimal("0.02")
    assert contract.criteria.law_violations == 0
    assert contract.digest == sha256(TEXT.encode())
    assert set(contract.data) == {"language", "vision", "hybrid"}


def test_thresholds_are_the_decimals_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(TEXT.replace("generalize_gain: 0.02", "generalize_gain: 0.020000000000000001"), encoding="utf-8")
    assert str(load_contract(path).criteria.generalize_gain) == "0.020000000000000001"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("generalize_gain: 0.02", "generalize_gain: 1.5", r"contract.yaml:\d+:20: criteria.generalize_gain: .*maximum"),
        ("generalize_gain: 0.02", "generalize_gain: -0.02", "criteria.generalize_gain: .*minimum"),
        ("generalize_gain: 0.02", "generalize_gain: '0.02'", "criteria.generalize_gain: .*not of type 'number'"),
        ("generalize_gain: 0.02", "generalize_gain: true", "criteria.generalize_gain: .*not of type 'number'"),
        ("generalize_gain: 0.02", "generalise_gain: 0.02", "generalise_gain"),
        ("steps: 2000", "steps: 2000.5", "budget.steps: .*not of type 'integer'"),
        ("steps: 2000", "steps: 0", "budget.steps: .*minimum"),
        ("steps: 2000", "steps: 2_000", "two YAML readers"),
        ("law_violations: 0", "law_violations: -1", "criteria.law_violations"),
        ("holdout_step: 0.001", "holdout_step: 0", "promotion.holdout_step"),
        ("pairs: 4", "pairs: 0", "promotion.pairs"),
        ("language: [", "language: [../../etc/passwd, ", "data.language"),
        ("language: [", "Language: [", "data"),
        ("schema_version: 1", "schema_version: 2", "schema_version: 1 was expected"),
        ("schema_version: 1", "schema_version: 1\nautonomy: full", "Additional properties are not allowed"),
        ("schema_version: 1", "schema_version: 1\ndigest: " + "a" * 64, "Additional properties are not allowed"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "contract.yaml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(AamsError, match=complaint):
        load_contract(path)


def test_a_missing_threshold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    for line in re.findall(r"^  [a-z_]+: [0-9.]+", TEXT, re.M):
        path.write_text(TEXT.replace(line, "  "), encoding="utf-8")
        with pytest.raises(AamsError, match=line.split(":")[0].strip()):
            load_contract(path)


def test_a_missing_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AamsError, match="can't be read"):
        load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_listed_corpus_is_allowed(domain: str) -> None:
    listed = {corpus.id for corpus in load_corpora(domain).corpora}
    assert set(load_contract(ROOT / CONTRACT_PATH).data[domain]) == listed
