"""Many writers at once, on one folder and against one remote: no entry is lost, doubled or in anybody's way."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aams import views
from aams.errors import LedgerError
from safety.events import Opened
from safety.ledger import append, next_entry, read_ledger, tips
from safety.state import fold
from safety.verify import verify

ROOT = Path(__file__).parents[2]
WRITER = Path(__file__).with_name("writer.py")
WRITERS, ROUNDS = 16, 20
OPENED = Opened(1, "race", "person", "", "corpus-a", "", "")


def writer() -> ModuleType:
    specification = importlib.util.spec_from_file_location("writer", WRITER)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run_writers(kind: str, places: list[Path], rounds: int) -> int:
    """Run a writer in each place, all at once; how often they were turned away."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", str(WRITER), kind, str(place), f"writer-{index:02d}", str(rounds)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, place in enumerate(places)
    ]
    refused = 0
    for process in processes:
        out, err = process.communicate(timeout=1200)
        assert process.returncode == 0, err
        refused += int(out)
    return refused


def check(root: Path, writers: int, rounds: int) -> int:
    """Every cycle of every writer is there, once, from its opening to its end; gives the number of entries."""
    ledger = read_ledger(root)
    wanted = {f"writer-{one:02d}-{index}": ["opened", "closed"] for one in range(writers) for index in range(rounds)}
    found: dict[str, list[str]] = {}
    for entry, _ in ledger:
        found.setdefault(entry.cycle, []).append(entry.event)
    assert found == wanted
    assert len({digest for _, digest in ledger}) == len(ledger)
    assert fold(ledger).open_cycles == {}
    assert verify(root).broken is None
    return len(ledger)


def race_in_folder(root: Path, writers: int, rounds: int) -> str:
    for name in ("contract.yaml", "allowed_signers"):
        (root / "safety").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "safety" / name, root / "safety" / name)
    refused = run_writers("folder", [root] * writers, rounds)
    entries, ledger = check(root, writers, rounds), read_ledger(root)
    assert len(tips(ledger)) == 1, "each entry follows the one before it"
    assert all(digest in entry.follows for (_, digest), (entry, _) in pairwise(ledger))
    assert verify(root, {name: (content,) for name, content in views.compile_views(ledger).items()}).broken is None
    return f"{entries} entries in one folder ({refused} tries refused by the lock)"


def race_to_remote(place: Path, writers: int, rounds: int) -> str:
    git = writer().git
    remote, seed = place / "remote.git", place / "seed"
    seed.mkdir()
    (seed / "README").write_text("a lab\n")
    git(seed, "init", "--quiet", "--initial-branch=main")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "--message", "begin")
    git(place, "clone", "--quiet", "--bare", str(seed), str(remote))
    git(remote, "config", "receive.autogc", "false")
    clones = [place / f"clone-{index}" for index in range(writers)]
    for clone in clones:
        git(place, "clone", "--quiet", str(remote), str(clone))
    overtaken = run_writers("remote", clones, rounds)
    merged = place / "merged"
    git(place, "clone", "--quiet", str(remote), str(merged))
    entries = check(merged, writers, rounds)
    git(clones[0], "pull", "--quiet", "--ff-only", "origin", "main")
    assert read_ledger(clones[0]) == read_ledger(merged), "everybody reads the same history in the same order"
    return f"{entries} entries through one bare remote ({overtaken} pushes overtaken, 0 merge conflicts)"


def _contend(root: Path, start: Any, name: str, rounds: int, won: Any) -> None:
    for index in range(rounds):
        entry = next_entry((), f"contested-{index}", OPENED, "language", "c" * 64, "2026-11-21T01:00:00Z")
        start.wait()
        try:
            append(root, replace(entry, facts={**entry.facts, "planner": name}))
            won.put((index, name))
        except LedgerError:
            pass
        except Exception as error:  # the other process reports it
            won.put((index, repr(error)))


def race_for_places(root: Path, writers: int, rounds: int) -> str:
    """Without any lock, all writers want each entry's place at once: one gets it, whole, and the others are told."""
    context = multiprocessing.get_context("spawn")
    start, won = context.Barrier(writers), context.Queue()
    arguments = [(root, start, f"writer-{index}", rounds, won) for index in range(writers)]
    processes = [context.Process(target=_contend, args=each) for each in arguments]
    for process in processes:
        process.start()
    winners = dict(won.get(timeout=300) for _ in range(rounds))
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert won.empty()
    assert {entry.cycle: entry.facts["planner"] for entry, _ in read_ledger(root)} == {
        f"contested-{index}": name for index, name in winners.items()
    }
    assert len(winners) == rounds
    return f"{rounds} places with one winner each"


def test_writers_of_one_folder_lose_and_double_nothing(tmp_path: Path) -> None:
    race_in_folder(tmp_path, 4, 3)


def test_writers_of_one_remote_lose_and_double_nothing(tmp_path: Path) -> None:
    race_to_remote(tmp_path, 4, 3)


def test_a_place_in_the_ledger_is_given_once(tmp_path: Path) -> None:
    race_for_places(tmp_path, 4, 3)


@pytest.mark.proof
def test_sixteen_writers_lose_and_double_nothing_in_twenty_rounds(tmp_path: Path, figure: Any) -> None:
    told = []
    for index, race in enumerate((race_in_folder, race_to_remote, race_for_places)):
        place = tmp_path / str(index)
        place.mkdir()
        told.append(race(place, WRITERS, ROUNDS))
    figure("races", f"{WRITERS} writers × {ROUNDS} rounds, 0 lost, 0 doubled: {', '.join(told)}")
