"""Writes trials into a study of Optuna's, for `benchmarks/dashboard.py`: run by a Python that has Optuna.

python optuna_study.py TRIALS.json JOURNAL
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path


def main(trials: Path, journal: Path) -> None:
    """Write a study whose trials are finished: each with its value and its fields."""
    optuna = import_module("optuna")
    files = import_module("optuna.storages.journal")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = json.loads(trials.read_bytes())
    values: dict[str, set[int | float | str]] = {}
    for row in rows:
        for name, value in row["fields"].items():
            values.setdefault(name, set()).add(value)
    kinds, read = {}, {}
    for name, found in values.items():
        if all(type(one) in (int, float) for one in found):
            low, high = min(map(float, found)), max(map(float, found))
            kinds[name], read[name] = optuna.distributions.FloatDistribution(low, high + 1e-9), float
        else:
            words = sorted(map(str, found))
            kinds[name], read[name] = optuna.distributions.CategoricalDistribution(words), str
    study = optuna.create_study(
        storage=files.JournalStorage(files.JournalFileBackend(str(journal))), study_name="aams", direction="maximize"
    )
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: read[name](value) for name, value in row["fields"].items()},
                distributions={name: kinds[name] for name in row["fields"]},
                value=row["value"],
            )
            for row in rows
        ]
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
