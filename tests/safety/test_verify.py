from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from aams.errors import AamsError, LedgerError, Problem
from safety.head import champion_path, head_line, head_path, heal
from safety.signers import ALLOWED_SIGNERS
from safety.sshkeygen import have_ssh_keygen
from safety.store import STORE
from safety.verify import verify

HISTORY = Path("specs/history/language")


def edit(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_sound_lab_verifies_and_is_counted(lab: Any) -> None:
    report = verify(lab.root)
    assert report.broken is None
    assert (report.entry_count, report.generation_count) == (len(lab.ledger), 3)
    assert (report.weights_checked, report.weights_absent) == (3, 0)
    assert report.promotions == (2 if have_ssh_keygen() else None)


def test_an_empty_lab_verifies(tmp_path: Path) -> None:
    assert verify(tmp_path).broken is None


def test_a_fresh_clone_has_no_weights_and_verifies(lab: Any) -> None:
    shutil.rmtree(lab.root / ".aams")
    for path in (lab.root / HISTORY).glob("*/model.safetensors"):
        path.unlink()
    report = verify(lab.root)
    assert report.broken is None
    assert (report.weights_checked, report.weights_absent) == (0, 3)


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda root: edit(root / "specs/language/HEAD", b"G000 x y\n"), "specs/language/HEAD"),
        (lambda root: (root / "specs/language/HEAD").unlink(), "specs/language/HEAD"),
        (lambda root: edit(root / "specs/language/champion.yaml", b"model: {}\n"), "specs/language/champion.yaml"),
        (lambda root: edit(next(root.glob(f"{HISTORY}/G001-*/EVAL.md")), b"accepted"), "EVAL.md"),
        (lambda root: shutil.rmtree(next(root.glob(f"{HISTORY}/G001-*"))), "G001-20261121-010200"),
        (lambda root: (root / HISTORY / "G009-20261121-010200").mkdir(), "G009-20261121-010200"),
        (lambda root: edit(root / "logs/cycles/first/08-trained.json", b"{}\n"), "logs/cycles/first/08-trained.json"),
        (lambda root: shutil.rmtree(root / "logs"), "specs/history/language"),
        (lambda root: (root / "specs/vision").mkdir() or (root / "specs/vision/HEAD").touch(), "specs/vision/HEAD"),
    ],
)
def test_the_first_broken_thing_is_named(lab: Any, damage: Any, place: str) -> None:
    damage(lab.root)
    broken = verify(lab.root).broken
    assert broken is not None
    assert place in broken.file


def test_rotten_weights_in_the_store_are_named(lab: Any) -> None:
    weights = lab.state.lineages["language"].champion.weights
    edit(lab.root / STORE / weights, b"rotten")
    broken = verify(lab.root).broken
    assert broken is not None
    assert broken.file.endswith((weights, "model.safetensors"))


def test_decisions_are_counted_by_whoever_can_recount_them(lab: Any) -> None:
    report = verify(lab.root, recount=lambda root, ledger, state: (len(ledger), len(list(root.glob("logs/cycles/*")))))
    assert (report.decisions, report.decisions_elsewhere) == (len(lab.ledger), 4)

    def refuse(root: Path, ledger: Any, state: Any) -> tuple[int, int]:
        raise LedgerError(Problem("comes out otherwise", file="09-looked.json"))

    broken = verify(lab.root, recount=refuse).broken
    assert broken
    assert broken.file == "09-looked.json"


def test_views_are_compared_byte_for_byte(lab: Any) -> None:
    (lab.root / "logs/lineage.csv").write_bytes(b"a,b\n")
    assert verify(lab.root, {"logs/lineage.csv": (b"a,b\n",)}).view_count == 1
    broken = verify(lab.root, {"logs/lineage.csv": (b"a,c\n",)}).broken
    assert broken is not None
    assert broken.file.endswith("logs/lineage.csv")


def test_a_crash_between_archive_and_verdict_leaves_a_lab_that_verifies(lab: Any) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.start("fourth", "more")
    lab.archive("G003", "more")
    assert verify(lab.root).broken is None
    assert heal(lab.root, lab.state) == ()


def test_a_verdict_alone_moves_nothing(lab: Any) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.judge("fourth", "more", "accepted", 0.9)
    for facts in ([], [lab.say.revealed("G003", "fourth", "more")], [lab.say.closed("declined")]):
        for each in facts:
            lab.record("fourth", each)
        assert heal(lab.root, lab.state) == ()
        report = verify(lab.root)
        assert (report.broken, report.generation_count) == (None, 4)
    assert head_path(lab.root, "language").read_bytes().startswith(b"G002 ")


def test_a_crash_between_approval_and_head_is_healed(lab: Any) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.judge("fourth", "more", "accepted", 0.9)
    lab.record("fourth", lab.say.revealed("G003", "fourth", "more"), lab.say.approved("G003", "G002"))
    assert verify(lab.root).broken is None, "HEAD may be behind an approval as long as its cycle is open"
    assert heal(lab.root, lab.state) == ("specs/language/champion.yaml", "specs/language/HEAD")
    assert verify(lab.root).broken is None
    champion = lab.state.lineages["language"].champion
    assert head_path(lab.root, "language").read_bytes() == head_line(champion.generation, champion.spec, champion.entry)
    assert champion_path(lab.root, "language").read_bytes() == b"# more\nmodel: {}\n"
    assert heal(lab.root, lab.state) == ()


def test_a_crash_between_champion_and_head_is_healed(lab: Any) -> None:
    edit(lab.root / "specs/language/HEAD", b"")
    assert heal(lab.root, lab.state) == ("specs/language/HEAD",)
    assert verify(lab.root).broken is None


def test_what_a_killed_command_left_is_swept(lab: Any) -> None:
    for name in ("logs/cycles/first/.x.part", "specs/language/.HEAD.part"):
        (lab.root / name).touch()
    (lab.root / HISTORY / ".G003-x.part").mkdir()
    (lab.root / HISTORY / ".G003-x.part/EVAL.md").touch()
    assert verify(lab.root).broken is None
    heal(lab.root, lab.state)
    assert list(lab.root.rglob(".*.part")) == []


def test_an_edited_champion_is_not_overwritten(lab: Any) -> None:
    edit(lab.root / "specs/language/champion.yaml", b"# my idea\nmodel: {}\n")
    with pytest.raises(AamsError, match=r"was edited, and .* is the champion; move it to specs/language/candidates/"):
        heal(lab.root, lab.state)
    assert champion_path(lab.root, "language").read_bytes() == b"# my idea\nmodel: {}\n"


@pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
def test_a_promotion_whose_key_nobody_allowed_is_named(lab: Any) -> None:
    path = lab.root / ALLOWED_SIGNERS
    edit(path, b"".join(line for line in path.read_bytes().splitlines(True) if b"verdict" not in line))
    broken = verify(lab.root).broken
    assert broken is not None
    assert broken.file == "logs/cycles/root/07-approved.json"
    assert "its key is unknown" in broken.what


@pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
def test_a_rollback_is_a_promotion_under_two_keys(lab: Any) -> None:
    lab.roll_back("back", "G000")
    assert heal(lab.root, lab.state) == ("specs/language/champion.yaml", "specs/language/HEAD")
    report = verify(lab.root)
    assert (report.broken, report.promotions) == (None, 3)
    assert head_path(lab.root, "language").read_bytes().startswith(b"G000 ")
