"""The crash sweep: every command is killed, and failed, at each of its writing system calls; nothing breaks or sticks.

A case: copy a prepared lab, run the command under strace, which kills it at its n-th call or fails that call with EIO
or ENOSPC; verify; run the same command again; verify, and compare with a lab where nothing went wrong.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aams import views
from safety.ledger import entry_name, read_ledger
from safety.sshkeygen import have_ssh_keygen
from safety.verify import verify

HERE = Path(__file__).parent
FAULTS = ("KILL", "EIO", "ENOSPC")
OF_DESCRIPTORS = ("write", "pwrite64", "writev", "sendfile", "fsync", "fdatasync", "fchmod", "ftruncate")
OF_PATHS = (
    *("openat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat", "unlink", "unlinkat"),
    *("rmdir", "chmod", "fchmodat", "truncate", "copy_file_range"),
)
TRACED = "trace=" + ",".join(f"?{name}" for name in (*OF_DESCRIPTORS, *OF_PATHS))
RANDOM = re.compile(r"[0-9a-f]{64}|(?<=[.-])[a-z0-9_]{8}(?=\.part)|(?<=-)[0-9]{8}-[0-9]{6}")
REHEARSALS = 4
"""How often a case is set up: the same call may have another number the next time, as reads are counted too."""
TIDYING = 24
"""The proof takes so many of a scene's calls that only remove a closed cycle's working files; and all others."""


def strace_works() -> bool:
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not strace_works() or not have_ssh_keygen(), reason="needs strace and ssh-keygen"
)


@dataclass(frozen=True)
class Scene:
    """A command in a prepared lab."""

    lab: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """The n-th call of one kind in an unbroken run of a scene, what it is about, and which of its like it is."""

    name: str
    number: int
    what: str
    turn: int


SCENES = {
    "propose a root": Scene("empty", ("propose", "--seed", "5")),
    "propose": Scene("champion", ("propose", "--seed", "3", "--spec", "SPEC")),
    "ingest trials": Scene("trials", ("ingest", "CYCLE", "RESULTS")),
    "ingest an attempt": Scene("attempt", ("ingest", "CYCLE", "RESULTS")),
    "approve": Scene("waiting", ("approve", "G001")),
    "decline, with views that are behind": Scene("behind", ("decline", "G001", "--reason", "not today")),
    "roll back": Scene("promoted", ("rollback", "--to", "G000", "--reason", "a drill")),
    "keys init": Scene("new", ("keys", "init", "--name", "ann")),
}


@dataclass(frozen=True)
class Seat:
    """A folder to play in, and a stage of its own."""

    place: Path
    stage: Any


class Theatre:
    """The prepared labs, the stage, and how each scene ends when nothing goes wrong."""

    def __init__(self, place: Path) -> None:
        specification = importlib.util.spec_from_file_location("stage", HERE / "stage.py")
        assert specification and specification.loader
        module = importlib.util.module_from_spec(specification)
        sys.modules["stage"] = module
        specification.loader.exec_module(module)
        self.place = place
        self.code, self.labs = module.prepare(place)
        self._open = module.Stage
        self.seats: list[Seat] = []
        self.seat()
        self.labs["behind"] = place / "behind"
        shutil.copytree(self.labs["waiting"], self.labs["behind"])
        for path in self.labs["champion"].rglob("*"):
            name = path.relative_to(self.labs["champion"])
            if path.is_file() and (name.parts[0] == "docs" or (name.parts[0] == "logs" and len(name.parts) == 2)):
                shutil.copyfile(path, self.labs["behind"] / name)
        self._plans: dict[str, tuple[list[Call], Any]] = {}

    def seat(self) -> Seat:
        """One more place to play in, beside the others."""
        place = self.place / f"seat-{len(self.seats)}"
        place.mkdir()
        self.seats.append(Seat(place, self._open(self.code, place)))
        return self.seats[-1]

    def copy(self, seat: Seat, scene: Scene) -> tuple[Path, tuple[str, ...]]:
        """A fresh lab for a scene, and the command as one types it there."""
        root = seat.place / "case"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.labs[scene.lab], root)
        open_cycles = [path.name for path in (root / ".aams" / "work").glob("*")]
        words = {"SPEC": str(self.place / "better.yaml"), "RESULTS": str(self.labs[scene.lab] / "results")}
        words |= {"CYCLE": open_cycles[0]} if len(open_cycles) == 1 else {}
        return root, tuple(words.get(word, word) for word in scene.argv)

    def plan(self, name: str) -> tuple[list[Call], Any]:
        """Every writing call of an unbroken run that touches the lab, and how it leaves the lab."""
        if name not in self._plans:
            self._plans[name] = self.rehearse(self.seats[0], name)
        return self._plans[name]

    def rehearse(self, seat: Seat, name: str) -> tuple[list[Call], Any]:
        """Run a scene unbroken: its writing calls, and how it leaves the lab."""
        root, argv = self.copy(seat, SCENES[name])
        log = seat.place / "log"
        ended = seat.stage.run(root, *argv, strace=("-y", "-o", str(log), "-e", TRACED))
        assert ended.status == 0, ended.err
        return calls(log.read_text(errors="replace"), root), standing(root)


def calls(log: str, root: Path) -> list[Call]:
    """The calls in strace's log that write to the lab."""
    found, counts = [], dict[str, int]()
    for line in log.splitlines():
        match = re.match(r"(\w+)\((\d+<([^>]*)>)?", line)
        if not match:
            continue
        name = match[1]
        counts[name] = counts.get(name, 0) + 1
        touches = (match[3] or "").startswith(f"{root}") if name in OF_DESCRIPTORS else f"{root}/" in line
        if touches and (name != "openat" or re.search(r"O_WRONLY|O_RDWR|O_CREAT", line)):
            what = shape(line, root)
            found.append(Call(name, counts[name], what, sum(call.what == what for call in found)))
    return found


def shape(line: str, root: Path) -> str:
    """A call's arguments without what differs from run to run."""
    paths = re.findall(rf'{re.escape(str(root))}/?([^">]*)', line)
    return RANDOM.sub("*", " ".join([line.partition("(")[0], *dict.fromkeys(paths)]))


def standing(root: Path) -> Any:
    """What a lab has come to: events, HEADs, champions, archives, keys and files, by content where it counts."""
    ledger = read_ledger(root)
    broken = verify(root, views.acceptable(root, ledger)).broken
    assert broken is None, f"verify at the end: {broken}"
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    signers = root / "safety" / "allowed_signers"
    return {
        "entries": sorted(entry_name(entry) for entry, _ in ledger),
        "heads": {path.parent.name: path.read_text().split()[:2] for path in root.glob("specs/*/HEAD")},
        "champions": {path.parent.name: path.read_text() for path in root.glob("specs/*/champion.yaml")},
        "files": sorted(RANDOM.sub("*", str(name)) for name in files if not passing(name)),
        "signers": sorted(line.split()[0] for line in signers.read_text().splitlines() if not line.startswith("#")),
    }


def difference(found: Any, wanted: Any) -> Any:
    """What is too much and what is missing, of lists; both, of anything else."""
    if isinstance(found, list):
        return {"+": [one for one in found if one not in wanted], "-": [one for one in wanted if one not in found]}
    return found, wanted


def passing(name: Path) -> bool:
    """Whether a file may or may not be there: what is compiled or computed again, and what a cache was left with."""
    kept = name.parts[:2] in ((".aams", "cache"), (".aams", "store")) or name.parent.name == "arbiter"
    kept |= name.parts[:2] == (".aams", "keys") and ".part" in name.parts[2]  # the next `aams keys` sweeps it
    return kept or (name.parts[0] in ("docs", "logs") and name.suffix != ".part")


def play(theatre: Theatre, seat: Seat, name: str, call: Call, fault: str) -> str:
    """One case; gives what became of the command: killed, refused, or went on."""
    _, wanted = theatre.plan(name)
    for _ in range(REHEARSALS):
        root, argv = theatre.copy(seat, SCENES[name])
        log = seat.place / "log"
        injected = f"inject={call.name}:{'signal=KILL' if fault == 'KILL' else f'error={fault}'}:when={call.number}"
        ended = seat.stage.run(root, *argv, strace=("-y", "-o", str(log), "-e", TRACED, "-e", injected))
        lines = [line for line in log.read_text(errors="replace").splitlines() if re.match(r"\w+\(", line)]
        hit = lines[-1] if fault == "KILL" else next((line for line in lines if "(INJECTED)" in line), "")
        if shape(hit, root) == call.what:
            break
        rehearsed = theatre.rehearse(seat, name)[0]
        call = next(one for one in rehearsed if (one.what, one.turn) == (call.what, call.turn))
    else:
        raise AssertionError("another call was hit than was planned")
    said = ended.out + ended.err
    assert "Traceback" not in said, said
    if fault == "KILL":
        assert ended.status == -9, said
    elif ended.status:
        assert ended.status == 1, said
        complaints = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        assert len(complaints) == 1, said
    ledger = read_ledger(root)
    broken = verify(root, views.acceptable(root, ledger)).broken
    assert broken is None, f"verify after the fault: {broken}"
    again = seat.stage.run(root, *argv)
    assert again.status in (0, 1) and "Traceback" not in again.out + again.err, again.out + again.err
    found = standing(root)
    differs = {part: difference(found[part], wanted[part]) for part in wanted if found[part] != wanted[part]}
    assert not differs, f"{differs} {again.err}"
    return "killed" if fault == "KILL" else "refused" if ended.status else "went on"


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    made = Theatre(tmp_path_factory.mktemp("theatre"))
    yield made
    for seat in made.seats:
        seat.stage.close()


def sample(items: list[Any], count: int) -> list[Any]:
    """So many of them, evenly, the first and the last included."""
    if count >= len(items):
        return items
    return [items[round(index * (len(items) - 1) / max(1, count - 1))] for index in range(count)]


def chosen(theatre: Theatre, name: str) -> list[Call]:
    """The calls of a scene that the proof injects faults into."""
    planned = theatre.plan(name)[0]
    tidying = [call for call in planned if call.name in ("unlinkat", "rmdir") and " .aams/work/" in call.what]
    taken = sample(tidying, TIDYING)
    return [call for call in planned if call not in tidying or call in taken]


def test_a_command_that_dies_or_fails_anywhere_is_healed_by_the_same_command(theatre: Theatre) -> None:
    cases = [
        (name, call, fault) for name in ("propose", "approve") for fault in FAULTS for call in chosen(theatre, name)
    ]
    for name, call, fault in sample(cases, 12):
        play(theatre, theatre.seats[0], name, call, fault)


@pytest.mark.proof
def test_no_writing_call_of_any_command_can_break_a_lab(theatre: Theatre, figure: Callable[[str, str], None]) -> None:
    total = sum(len(theatre.plan(name)[0]) for name in SCENES)
    cases = [(name, call, fault) for name in SCENES for call in chosen(theatre, name) for fault in FAULTS]
    became: list[str] = []
    failures: list[str] = []

    def judge(seat: Seat, part: list[Any]) -> None:
        for name, call, fault in part:
            try:
                became.append(play(theatre, seat, name, call, fault))
            except AssertionError as error:
                failures.append(f"{name}: {fault} at {call.what} (number {call.number}): {str(error)[:600]}")

    seats = [theatre.seats[0], theatre.seat()]
    with ThreadPoolExecutor(len(seats)) as pool:
        list(pool.map(judge, seats, [cases[index :: len(seats)] for index in range(len(seats))]))
    assert len(became) + len(failures) == len(cases)
    assert not failures, f"{len(failures)} of {len(cases)} cases:\n" + "\n".join(failures)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(became).items()))
    figure(
        "crash sweep",
        f"{len(cases)} of {total * len(FAULTS)} cases (kill, EIO and ENOSPC at {len(cases) // len(FAULTS)} of {total} "
        f"writing system calls of {len(SCENES)} commands; {told}): 0 inconsistent, lost or stuck",
    )
