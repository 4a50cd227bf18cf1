"""The smoke step: does the generated model stand up, with the parameters the cost model promised?

Takes rendered source and a way to ask the torch service. Gives findings. Never imports torch and never runs generated
code in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aams.canonical import to_data
from aams.records import Cost, Finding, Interface, Spec

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def smoke(ask: Ask, model: Path, spec: Spec, interface: Interface, cost: Cost) -> tuple[Finding, ...]:
    """Build the model once and run it forward and backward on a tiny batch.

    Args:
        ask: sends one job to the torch service and gives its answer.
        model: the rendered `model.py`.

    Returns:
        One finding for each thing that is wrong: parameters, shape, numbers that are not finite, causality.
    """
    answer = ask(
        {
            "job": "smoke",
            "model": str(model),
            "domain": spec.domain,
            "interface": to_data(interface),
            "parameters": cost.parameters,
        }
    )
    problem = answer.get("error") or answer.get("problem")
    if problem:
        return (
            Finding("smoke", spec.id, str(problem), "", "the compiler and this op disagree: report it with the spec"),
        )
    return ()
