"""The workflows that sweeps start, by file."""

from __future__ import annotations

TRAIN, RECEIVE, EVALUATE, PROMOTE = "train.yml", "receive_results.yml", "evaluate.yml", "promote.yml"
RECHALLENGE, KAGGLE = "rechallenge.yml", "dispatch_kaggle.yml"
