"""The workflows that AAMS starts, by file, and how a run of `train.yml` is found again."""

from __future__ import annotations

TRAIN, RECEIVE, EVALUATE, PROMOTE = "train.yml", "receive_results.yml", "evaluate.yml", "promote.yml"
RECHALLENGE, KAGGLE = "rechallenge.yml", "dispatch_kaggle.yml"


def train_title(subject: str, bundle: str = "") -> str:
    """The title of a run of `train.yml`, as its `run-name` has it, or how one begins.

    Args:
        subject: a proposal's cycle, or the name of a session of the runner lane.
        bundle: which of the proposal's bundles, or the digest of the session's.
    """
    return f"train {subject} {bundle}".rstrip()
