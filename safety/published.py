"""`docs/contract.json`: the contract, its laws and its gates as the page reads them. `make docs` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from aams.canonical import to_data
from aams.files import write_whole
from safety.contract import CONTRACT_PATH, load_contract
from safety.gates import GATES, PROMOTION_GATES

PAGE = "docs/contract.json"
HERE = Path(__file__).parent.parent


def published(root: Path) -> bytes:
    """The contract of a lab as the page reads it.

    Raises:
        AamsError: it has none that can be read.
    """
    gates = [_told(gate.ID, gate.PROTECTS, gate.REMEDY) for gate in GATES.values()]
    gates += [_told(gate.ID, gate.PROTECTS, gate.REMEDY) for gate in PROMOTION_GATES.values()]
    data = {"schema_version": 1, **to_data(load_contract(root / CONTRACT_PATH)), "gates": gates}
    return (json.dumps(data, indent=1, sort_keys=True, default=float) + "\n").encode("ascii")


def _told(name: str, protects: str, remedy: str) -> dict[str, str]:
    return {"id": name, "protects": protects, "remedy": remedy}


if __name__ == "__main__":
    write_whole(HERE / PAGE, published(HERE))
