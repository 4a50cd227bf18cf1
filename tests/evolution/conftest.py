from pathlib import Path

import pytest

from aams.records import Spec
from compiler import spec as reader

DOMAINS_ROOM = Path(__file__).parents[2] / "domains"


@pytest.fixture(scope="session", params=sorted(path.parent.name for path in DOMAINS_ROOM.glob("*/baseline.yaml")))
def baseline(request: pytest.FixtureRequest) -> Spec:
    return reader.read(DOMAINS_ROOM / request.param / "baseline.yaml")


@pytest.fixture(scope="session")
def language() -> Spec:
    mixer = {"op": "attention", "heads": 4, "qk_norm": True}
    block = {"repeat": 4, "mixer": mixer, "channel": {"op": "mlp", "activation": "relu2"}}
    model = {"width": 128, "context": 128, "position": {"op": "rope"}, "blocks": [block]}
    training = {"optimizer": {"op": "muon", "lr": 0.02}, "schedule": {"op": "cosine"}, "batch_tokens": 4096}
    return reader.from_tree({"schema_version": 1, "domain": "language", "model": model, "training": training})


@pytest.fixture(scope="session")
def hybrid() -> Spec:
    return reader.read(DOMAINS_ROOM / "hybrid" / "baseline.yaml")
