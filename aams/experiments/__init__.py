"""Every experiment that the ledger tells of: what was tried, what it cost, what was measured, what came of it.

The one home of the numbers in pictures and tables: `aams.plots` and `aams.frame` only show them.
"""

from aams.experiments.reading import Archive, Archived, Told, first_of, read_archive, told
from aams.experiments.record import OUTCOMES, STAGES, STANDINGS, Experiment, Outcome
from aams.experiments.rows import experiments, used_pairs

__all__ = [
    "OUTCOMES",
    "STAGES",
    "STANDINGS",
    "Archive",
    "Archived",
    "Experiment",
    "Outcome",
    "Told",
    "experiments",
    "first_of",
    "read_archive",
    "told",
    "used_pairs",
]
