"""What strangers send is read or refused, quickly, in little memory, and nothing of it ever runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aams.errors import AamsError
from safety.checkpoint import Checkpoint, check_against, take
from safety.ledger import read_ledger
from safety.sshkeygen import have_ssh_keygen
from safety.verify import verify

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAX_CPU_S = 2.0
MAX_RSS_BYTES = 256 * 2**20
SOUND_SHARE = 0.3


def load(path: Path, name: str) -> ModuleType:
    """Import a module of the tests, which are no packages."""
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpora() -> ModuleType:
    return load(HERE / "corpora.py", "corpora")


def examined(corpora: ModuleType, cases: list[Any], place: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each case with the examiner's report."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-P", str(HERE / "examiner.py")],
        cwd=place,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as examiner:
        assert examiner.stdin and examiner.stdout
        for case in cases:
            folder = place / "case"
            folder.mkdir()
            case.write(folder)
            examiner.stdin.write(json.dumps([case.kind, str(folder)]) + "\n")
            examiner.stdin.flush()
            yield case, json.loads(examiner.stdout.readline())
            shutil.rmtree(folder)
        examiner.stdin.close()


def judge(corpora: ModuleType, cases: list[Any], place: Path, canary: Path) -> tuple[Counter[str], float, int]:
    """Examine all cases; how many of each kind, and the longest and largest refusal."""
    counts: Counter[str] = Counter()
    longest, largest, wrong = 0.0, 0, []
    for case, report in examined(corpora, cases, place):
        if report["became"] != ("accepted" if case.is_sound else "refused"):
            wrong.append(f"{case.kind}: {case.name}: {report['became']} {report['said']}")
        counts[case.kind] += 1
        counts["sound"] += case.is_sound
        if not case.is_sound:
            longest, largest = max(longest, report["cpu_s"]), max(largest, report["rss_bytes"])
            if report["cpu_s"] > MAX_CPU_S or report["rss_bytes"] > MAX_RSS_BYTES:
                wrong.append(f"{case.kind}: {case.name}: {report['cpu_s']:.1f} s, {report['rss_bytes'] >> 20} MiB")
        assert not canary.exists(), f"{case.kind}: {case.name} was executed"
    assert not wrong, "\n".join(wrong)
    return counts, longest, largest


def test_some_of_everything_that_strangers_send_is_judged_rightly(corpora: ModuleType, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    cases = corpora.all_cases(canary)
    judge(corpora, cases[::12], tmp_path, canary)


@pytest.mark.proof
def test_everything_that_strangers_send_is_judged_rightly(
    corpora: ModuleType, tmp_path: Path, figure: Callable[[str, str], None]
) -> None:
    canary = tmp_path / "canary"
    cases = corpora.all_cases(canary)
    kinds = {case.kind for case in cases}
    for kind in kinds:
        sound = [case.is_sound for case in cases if case.kind == kind]
        assert sum(sound) >= SOUND_SHARE * len(sound), f"{kind}: {sum(sound)} of {len(sound)} are sound"
    counts, longest, largest = judge(corpora, cases, tmp_path, canary)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in sorted(kinds))
    figure(
        "hostile input",
        f"{len(cases)} cases ({told}), {counts['sound']} of them sound and accepted, the others refused in at most "
        f"{longest:.2f} CPU-s and {largest >> 20} MiB; 0 payloads ran",
    )


def tampered(lab: Any) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Every way to tamper with every recorded file: how, the file's name, and what does it."""
    root: Path = lab.root
    entries = sorted((root / "logs/cycles").rglob("*.json"))
    archived = sorted(path for path in (root / "specs/history").rglob("*") if path.is_file())
    shown = [root / "specs/language/HEAD", root / "specs/language/champion.yaml"]
    stored = sorted((root / ".aams/store").iterdir())
    for path in (*entries, *archived, *shown, *stored):
        name, content = path.relative_to(root).as_posix(), path.read_bytes()
        for place in sorted({0, len(content) // 3, len(content) // 2, len(content) - 2, len(content) - 1}):
            flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            yield f"flip {place}", name, lambda path=path, flipped=flipped: path.write_bytes(flipped)
        for length in (0, len(content) // 2, len(content) - 1):
            yield f"truncate to {length}", name, lambda path=path, cut=content[:length]: path.write_bytes(cut)
        yield "double the content", name, lambda path=path, content=content: path.write_bytes(content * 2)
        if path not in stored and path.suffix != ".safetensors":  # as in a fresh clone: Git never holds weights
            yield "delete", name, lambda path=path: path.unlink()
    for path in entries:
        name, number = path.relative_to(root).as_posix(), int(path.name[:2])
        event = path.name[3:]
        copy = path.with_name(f"{number + 1:02d}-{event}")
        following = next(iter(path.parent.glob(f"{number + 1:02d}-*")), None)
        yield "duplicate", copy.relative_to(root).as_posix(), lambda path=path, copy=copy: shutil.copyfile(path, copy)
        if following:
            yield "swap", name, lambda one=path, other=following: swap(one, other)
            yield "reorder", name, lambda one=path, other=following: reorder(one, other)
    for path in archived:
        copy = path.with_name(f"{path.name}.copy")
        yield "duplicate", copy.relative_to(root).as_posix(), lambda path=path, copy=copy: shutil.copyfile(path, copy)


def swap(one: Path, other: Path) -> None:
    """Exchange two entries' contents, names staying."""
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def reorder(one: Path, other: Path) -> None:
    """Exchange two entries' numbers, in their names and in their contents."""
    first, second = json.loads(one.read_bytes()), json.loads(other.read_bytes())
    first["number"], second["number"] = second["number"], first["number"]
    for path in (one, other):
        path.unlink()
    for data in (first, second):
        content = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        (one.parent / f"{data['number']:02d}-{data['event']}.json").write_text(content + "\n", encoding="utf-8")


def complaint(lab: Any, kept: Checkpoint) -> str:
    """What verify says of a lab, and where it finds nothing, what the checkpoint that was kept elsewhere says."""
    broken = verify(lab.root).broken
    if broken:
        return str(broken)
    try:
        check_against(read_ledger(lab.root), (), kept)
    except AamsError as error:
        return str(error)
    return ""


def is_named(said: str, name: str, how: str) -> bool:
    """Whether a complaint names the file, or for one that is gone or moved its place."""
    folder, _, file = name.rpartition("/")
    number = file[:2]
    if how == "delete":
        after = re.search(rf"{folder}/(\d+)-\S+ was changed, or what came after it was removed", said)
        by_place = f"{folder}: entry {number} is missing" in said or bool(after and int(after[1]) + 1 == int(number))
    else:
        by_place = how == "reorder" and bool(re.search(rf"{folder}/({number}|{int(number) + 1:02d})-", said))
    return name in said or by_place


def check_tampering(lab: Any, ways: list[tuple[str, str, Callable[[], Any]]], whole: Path) -> int:
    """Tamper in every way, one at a time; verify names each. Gives how many only a checkpoint can know of."""
    kept = take(read_ledger(lab.root), ())
    tip = next(entry for entry, digest in read_ledger(lab.root) if digest in kept.tips)
    last = f"logs/cycles/{tip.cycle}/{tip.number:02d}-{tip.event}.json"
    wrong, unknown = [], 0
    for how, name, tamper in ways:
        tamper()
        said = complaint(lab, kept)
        if name == last and said and not is_named(said, name, how):
            unknown += 1  # nothing follows the newest entry: only who kept its digest can know it
            if "checkpoint" not in said:
                wrong.append(f"{how}: {name}: {said}")
        elif not is_named(said, name, how):
            wrong.append(f"{how}: {name}: {said or 'nothing found'}")
        restore((lab.root / name).parent, (whole / name).parent)
    assert not wrong, f"{len(wrong)} of {len(ways)}:\n" + "\n".join(wrong)
    assert complaint(lab, kept) == ""
    return unknown


def restore(folder: Path, whole: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(whole, folder)


def small_lab(place: Path) -> Any:
    """A recorded lab: a root, a rejected attempt, a promotion. Its files are writable, for whoever tampers."""
    known = load(ROOT / "tests/safety/conftest.py", "safety_conftest")
    lab = known.Lab(place / "lab")
    lab.begin()
    lab.attempt("first", "wider", "rejected", recall=0.7)
    lab.attempt("second", "better", "accepted", recall=0.85)
    for path in lab.root.rglob("*"):
        if path.is_file() and ".aams/keys" not in path.as_posix():
            path.chmod(0o644)
    shutil.copytree(lab.root, place / "whole")
    return lab


needs_keys = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")


@needs_keys
def test_some_tampering_with_a_recorded_lab_is_named(tmp_path: Path) -> None:
    lab = small_lab(tmp_path)
    check_tampering(lab, list(tampered(lab))[::16], tmp_path / "whole")


@needs_keys
@pytest.mark.proof
def test_all_tampering_with_a_recorded_lab_is_named(tmp_path: Path, figure: Callable[[str, str], None]) -> None:
    lab = small_lab(tmp_path)
    ways = list(tampered(lab))
    unknown = check_tampering(lab, ways, tmp_path / "whole")
    hows = ", ".join(f"{count} {how}" for how, count in Counter(how.split()[0] for how, _, _ in ways).items())
    figure(
        "tampering",
        f"{len(ways)} of {len(ways)} named ({hows}); {unknown} of them, with the newest entry, by a checkpoint",
    )
