"""What the page shows of the contract is the contract."""

from __future__ import annotations

import json
from pathlib import Path

from safety.contract import CONTRACT_PATH, load_contract
from safety.published import PAGE, published

ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_contract_that_is_in_force() -> None:
    assert (ROOT / PAGE).read_bytes() == published(ROOT), "run `make docs`"
    shown = json.loads((ROOT / PAGE).read_bytes())
    assert shown["digest"] == load_contract(ROOT / CONTRACT_PATH).digest
    assert {gate["id"] for gate in shown["gates"]} > {"budget", "data", "lineage"}
