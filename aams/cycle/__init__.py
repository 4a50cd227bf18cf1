"""One evolution cycle, as a straight line: `propose` is steps 1 to 8 up to dispatch, `ingest` is 9 to 12.

    1 observe → 2 eligible? → 3 mutate → 4 estimate, gate → 5 compile → 6 freeze → 7 bundle → 8 a lane trains →
    9 read as hostile → 10 screen, or recompute → 11 decide → 12 archive, record, compile views

A cycle dispatches twice when a trial passes the screen: ingesting the trials gives the attempt's dispatch. Every event
is recorded once, so a killed cycle goes on where it stopped. Nothing in here trains: lanes do.
"""

from __future__ import annotations

from aams.cycle.ingestion import ingest, waiting
from aams.cycle.lab import Ended, Lab, Request, open_lab
from aams.cycle.proposal import ELSEWHERE, Preview, abandon, preview, propose

__all__ = [
    "ELSEWHERE",
    "Ended",
    "Lab",
    "Preview",
    "Request",
    "abandon",
    "ingest",
    "open_lab",
    "preview",
    "propose",
    "waiting",
]
