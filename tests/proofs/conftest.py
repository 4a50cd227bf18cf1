"""What the proofs share: the recorded scores, and the line that each proof ends with, printed by `make proofs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.e2e.conftest import built, empty_lab, lab_with_root  # noqa: F401 the kill tests begin with their labs

Figure = Callable[[str, str], None]

LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Takes a proof's name and its figure, as one would publish it. The fast versions' figures are not printed."""

    def publish(name: str, text: str) -> None:
        if request.node.get_closest_marker("proof"):
            request.config.stash.setdefault(LINES, []).append(f"{name}: {text}")

    return publish


@pytest.fixture(scope="session")
def item_scores() -> Callable[[str], NDArray[np.float32]]:
    """Gives the accuracy of every recorded run of a domain on every item, (runs, items); see `record_scores.py`."""

    def read(domain: str) -> NDArray[np.float32]:
        hits = load_file(Path(__file__).parent / "scores" / f"{domain}.safetensors")["hits"]
        return (hits / 256 if domain == "language" else np.unpackbits(hits, axis=1)).astype(np.float32)

    return read


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("proofs")
    for line in lines:
        terminalreporter.write_line(line)
