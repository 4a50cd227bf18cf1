"""Makes a lab's history the sample that the page shows while a lab has none: `record_sample.py LAB`.

The lab's cycles must all have ended. Weights stay where they are.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from aams.views import METRICS, compile_views
from safety.archive import HISTORY
from safety.ledger import read_ledger

DOCS = Path(__file__).parents[2] / "docs"
SAMPLE = "sample"


def main(lab: Path) -> None:
    """Replace the sample."""
    compiled = compile_views(read_ledger(lab))
    shutil.rmtree(DOCS / SAMPLE, ignore_errors=True)
    left_out = shutil.ignore_patterns("*.safetensors", "README.md")
    shutil.copytree(lab / HISTORY, DOCS / SAMPLE / "history", ignore=left_out)
    metrics = json.loads(compiled[METRICS])
    for kind in ("shards", "columns"):
        names = {name: name.replace("data/", f"{SAMPLE}/") for name in metrics[kind]}
        for name, new in names.items():
            (DOCS / new).write_bytes(compiled[f"docs/{name}"])
        metrics[kind] = list(names.values())
    text = json.dumps(metrics, sort_keys=True, separators=(",", ":"))
    (DOCS / "metrics.sample.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
