"""The gates before HEAD: each lets one promotion pass and refuses one for every reason it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from safety.archive import damage, protect
from safety.contract import CONTRACT_PATH, load_contract
from safety.gates import GATES, PROMOTION_GATES, check_promotion
from safety.gates.base import Promotion

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
PASSING = Promotion("language/G001", ("SHA256:one", "SHA256:one"), "SHA256:two", ())
FAILING = [
    ("two-key", {"proposers": ()}, "it was proposed without a key"),
    ("two-key", {"proposers": ("SHA256:one", "")}, "it was proposed without a key"),
    ("two-key", {"approver": ""}, "nobody approved it"),
    ("two-key", {"approver": "SHA256:one"}, "the key that proposed it can't be its second key"),
    ("rollback", {"damaged": (("G000", "model.py changed"),)}, "its archive is not what the ledger names"),
]


def test_a_promotion_under_two_keys_passes_every_gate() -> None:
    assert check_promotion(PASSING, CONTRACT) == ()


@pytest.mark.parametrize(("gate", "change", "what"), FAILING)
def test_each_gate_refuses_for_its_own_reason(gate: str, change: dict[str, object], what: str) -> None:
    findings = check_promotion(replace(PASSING, **change), CONTRACT)  # type: ignore[arg-type]
    assert [(found.gate, found.what) for found in findings] == [(gate, what)]
    assert findings[0].advice == PROMOTION_GATES[gate].REMEDY


def test_every_promotion_gate_has_a_failing_fixture_and_a_name_of_its_own() -> None:
    assert {gate for gate, _, _ in FAILING} == set(PROMOTION_GATES)
    assert not set(GATES) & set(PROMOTION_GATES)


def test_an_archive_that_can_be_written_counts_as_damaged_until_it_is_protected(lab) -> None:  # type: ignore[no-untyped-def]
    generation = lab.state.lineages["language"].generations[0]
    path = next(lab.root.glob(f"specs/history/language/{generation.directory}"))
    assert damage(path, generation.archive) == ""
    (path / "model.py").chmod(0o644)
    assert damage(path, generation.archive) == "model.py is writable"
    protect(path)
    assert damage(path, generation.archive) == ""
    (path / "model.py").chmod(0o644)
    (path / "model.py").write_text("another")
    assert "model.py" in damage(path, generation.archive)
