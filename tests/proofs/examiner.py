"""Reads what strangers sent, as the product does: one process for each case, with a limit on its memory.

For each line of stdin, a kind and a folder, a line of stdout: what became of it, how long that took, how much memory.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from aams.errors import AamsError

MEMORY_BYTES = 1 << 30
"""No reader gets more address space; what it may have used is judged by its resident pages."""
WARM = ("aams.bundle", "compiler.render", "evaluator.weights", "safety.state")
RESULTS = Path(__file__).parents[1] / "evaluator" / "test_results.py"


@lru_cache
def known_results() -> ModuleType:
    """The manifest and the costs that the corpus of results is about."""
    specification = importlib.util.spec_from_file_location("known_results", RESULTS)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    specification.loader.exec_module(module)
    return module


def read_case(kind: str, folder: Path) -> None:
    """Read a case as the product does."""
    if kind == "spec":
        from compiler import spec
        from compiler.cost import estimate
        from compiler.render import render
        from domains import active_interface

        accepted = spec.read(folder / "spec.yaml")
        interface = active_interface(accepted.domain)
        estimate(accepted.tree, interface)
        compile(render(accepted, interface), "model.py", "exec")
    elif kind == "results":
        from evaluator.results import read_results

        read_results(folder, known_results().MANIFEST, known_results().COSTS)
    elif kind == "weights":
        from evaluator.weights import check_weights, read_table

        path = folder / "child-0.safetensors"
        table = read_table(path)
        check_weights(path, table, hashlib.sha256(path.read_bytes()).hexdigest())
    elif kind == "bundle":
        from aams.bundle import unpack

        unpack(folder / "bundle.zip", folder / "deep" / "out")
        assert not any(path.is_symlink() for path in folder.rglob("*"))
    else:
        from safety.ledger import read_ledger
        from safety.state import fold

        fold(read_ledger(folder))


def _examine() -> None:
    from domains import active_interface

    for name in WARM:
        importlib.import_module(name)
    known_results()
    for domain in ("language", "vision", "hybrid"):
        active_interface(domain)
    for line in sys.stdin:
        kind, folder = json.loads(line)
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            began, became, said = time.process_time(), "accepted", ""
            try:
                read_case(kind, Path(folder))
            except AamsError as error:
                became, said = "refused", str(error)[:300]
            except BaseException as error:
                became, said = "broke", repr(error)[:300]
            report = {
                "became": became,
                "said": said,
                "cpu_s": time.process_time() - began,
                "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
            os.write(1, json.dumps(report).encode() + b"\n")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            report = {"became": "broke", "said": f"it ended with {status}", "cpu_s": 0, "rss_bytes": 0}
            os.write(1, json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    _examine()
