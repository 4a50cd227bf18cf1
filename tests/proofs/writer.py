"""One of many writers: records cycles of its own, in a folder that others write too, or in a clone of a common remote.

Run as `writer.py folder LAB NAME ROUNDS` or `writer.py remote CLONE NAME ROUNDS`; prints how often it was turned away.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from aams import cli
from aams.cycle import open_lab
from aams.errors import AamsError
from safety.clock import utc_now
from safety.events import Closed, Opened
from safety.ledger import CYCLES, append, next_entry, read_ledger

OPENED = Opened(1, "race", "person", "", "corpus-a", "", "")
CONTRACT = "c" * 64
PATIENCE_S = 600


def in_folder(root: Path, name: str, rounds: int, rng: random.Random) -> int:
    """Open a cycle under the lab's lock, close it under the next one; whoever is refused tries again."""
    refused = 0
    cycles = [f"{name}-{index}" for index in range(rounds)]
    for before, cycle in itertools.pairwise(["", *cycles]):
        while True:
            try:
                with open_lab(root) as lab:
                    if before:
                        lab.record(before, "language", Closed("nothing-to-try", ""))
                    lab.record(cycle, "language", OPENED)
                break
            except AamsError as error:
                if "another cycle is running" not in str(error):
                    raise
                refused += 1
                time.sleep(rng.uniform(0, 0.2))
    while True:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            status = cli.main(["abandon", cycles[-1], "--root", str(root)])
        if status == 0:
            return refused
        assert "another cycle is running" in said.getvalue(), said.getvalue()
        refused += 1
        time.sleep(rng.uniform(0, 0.2))


def in_clone(clone: Path, name: str, rounds: int, rng: random.Random) -> int:
    """Commit a cycle's entries and push them onto what is there; whoever was overtaken merges and tries again."""
    refused = 0
    deadline = time.monotonic() + PATIENCE_S
    for index in range(rounds):
        ledger = read_ledger(clone)
        for facts in (OPENED, Closed("nothing-to-try", "")):
            entry = next_entry(ledger, f"{name}-{index}", facts, "language", CONTRACT, utc_now())
            ledger += (append(clone, entry),)
        git(clone, "add", CYCLES)
        git(clone, "commit", "--quiet", "--message", f"{name} {index}")
        while git(clone, "push", "--quiet", "origin", "HEAD:main", check=False):
            assert time.monotonic() < deadline, "never got through"
            refused += 1
            time.sleep(rng.uniform(0, 0.2))
            git(clone, "fetch", "--quiet", "origin", "main")
            git(clone, "merge", "--quiet", "--no-edit", "FETCH_HEAD")  # a conflict ends this writer
    return refused


def git(folder: Path, *arguments: str, check: bool = True) -> int:
    """Run Git; its exit status."""
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "gc.auto=0")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    ended = subprocess.run(["git", *identity, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if check and ended.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
    return ended.returncode


if __name__ == "__main__":
    kind, place, own, count = sys.argv[1:]
    write = {"folder": in_folder, "remote": in_clone}[kind]
    print(write(Path(place), own, int(count), random.Random(own)))
