"""One evolution cycle, as a straight line: `propose` is steps 1 to 8 up to dispatch, `ingest` is 9 to 12.

    1 observe → 2 eligible? → 3 mutate → 4 estimate, gate → 5 compile → 6 freeze → 7 bundle → 8 a lane trains →
    9 read as hostile → 10 screen, or recompute → 11 decide → 12 archive, record, sign, compile views

A cycle dispatches again when a trial passes the screen, and while the pairs of an attempt decide nothing: ingesting
gives the next dispatch. Every event is recorded once, so a killed cycle goes on where it stopped. Nothing in here
trains: lanes do.
"""

from __future__ import annotations

from aams.cycle.approval import approve, decisions_elsewhere, decline
from aams.cycle.desk import check_in_time
from aams.cycle.ingestion import collect, ingest, judge, waiting
from aams.cycle.lab import Ended, Lab, Request, open_lab
from aams.cycle.next_bundle import proceed, wants_pairs
from aams.cycle.proposal import ELSEWHERE, Preview, preview, propose
from aams.cycle.rechallenge import recall, rechallenge
from aams.cycle.rollback import roll_back
from aams.cycle.schedule import due, end_overdue, lost, scheduled
from aams.cycle.verdict import abandon, break_off

__all__ = [
    "ELSEWHERE",
    "Ended",
    "Lab",
    "Preview",
    "Request",
    "abandon",
    "approve",
    "break_off",
    "check_in_time",
    "collect",
    "decisions_elsewhere",
    "decline",
    "due",
    "end_overdue",
    "ingest",
    "judge",
    "lost",
    "open_lab",
    "preview",
    "proceed",
    "propose",
    "recall",
    "rechallenge",
    "roll_back",
    "scheduled",
    "waiting",
    "wants_pairs",
]
