"""Runs a notebook's code cells in order in one process, as "Save & Run All" does, and fails with the first that fails.

Takes the notebook's path. It needs nothing but the standard library: no Jupyter kernel is started, so magics (`%`, `!`)
and rich outputs are not emulated, and a cell with one is a syntax error. The notebooks of this project have neither.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Run the notebook of the command line."""
    cells = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"<cell {number}>", "exec"), namespace)  # noqa: S102 its purpose


if __name__ == "__main__":
    main()
