"""What one command signs, `aams verify` and the next command accept: whatever clock, key or repository came between."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import safety.contract
from safety.contract import CONTRACT_PATH
from safety.head import head_path
from safety.keyfiles import generate, public_key
from safety.ledger import read_ledger
from safety.signers import ALLOWED_SIGNERS, REVOKED_KEYS, AllowedKey, change_signers
from safety.sshkeygen import fingerprint, have_ssh_keygen

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
ROOT = Path(safety.contract.__file__).parents[1]
NOW, SOON, LATER = "2026-11-21T02:00:00Z", "2026-11-21T02:00:10Z", "2026-11-21T02:04:00Z"
NEXT_MONTH = "2026-12-21T02:00:00Z"
Clock = Callable[[str], None]


class Desk:
    """A lab with the champion G001 and its parent G000, that was never under Git; and what a person types in it."""

    def __init__(self, root: Path, answer: Callable[..., str]) -> None:
        self.root = root
        self.answer = answer

    def aams(self, *arguments: str, status: int = 0) -> str:
        return self.answer(*arguments, "--root", str(self.root), status=status)

    def roll_back(self, generation: str, *options: str, status: int = 0) -> str:
        return self.aams("rollback", "--to", generation, "--reason", "a drill", *options, status=status)

    def is_right(self, *options: str) -> None:
        assert self.aams("verify", *options).startswith("All right")

    @property
    def head(self) -> str:
        return head_path(self.root, "language").read_text().split()[0]

    def put_under_git(self, said: str) -> None:
        """Begin a repository; what is said of its first commit names it."""
        shutil.rmtree(self.root / ".git", ignore_errors=True)
        person = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", said]):
            subprocess.run(["git", *person, *command], cwd=self.root, check=True, capture_output=True)

    def key_of_eve(self) -> str:
        """One more key that may propose, and never did; its fingerprint."""
        path = self.root / ".aams" / "eve"
        generate(path)
        line = AllowedKey("eve-propose", "propose", public_key(path), "2026-11-01T00:00:00Z")
        change_signers(self.root / ALLOWED_SIGNERS, [line], NOW)
        return fingerprint(line.key)


@pytest.fixture
def desk(recorded_lab: Path, tmp_path: Path, answer: Any, set_clock: Clock) -> Desk:
    set_clock(NOW)
    root = tmp_path / "lab"
    shutil.copytree(recorded_lab, root)
    shutil.copy(ROOT / CONTRACT_PATH, root / CONTRACT_PATH)
    return Desk(root, answer)


def test_a_clock_that_was_a_month_ahead_spoils_nothing_that_is_signed_when_it_is_right_again(
    desk: Desk, set_clock: Clock
) -> None:
    set_clock(NEXT_MONTH)
    desk.roll_back("G000")
    set_clock(NOW)
    desk.roll_back("G001")
    assert read_ledger(desk.root)[-1].entry.time == NEXT_MONTH
    assert desk.head == "G001"
    desk.is_right()


@pytest.mark.parametrize("role", ["propose", "verdict"])
def test_a_key_that_signed_while_the_clock_was_ahead_is_replaced_after_what_it_signed(
    role: str, desk: Desk, set_clock: Clock
) -> None:
    set_clock(LATER)
    desk.roll_back("G000")
    set_clock(SOON)
    desk.aams("keys", "rotate", role)
    desk.is_right()
    assert "now is 2026-11-21T02:04:00Z by the ledger and the clock" in desk.aams("keys", "rotate", role, status=1)
    desk.roll_back("G001")
    desk.is_right()


def test_a_proposal_counts_though_its_key_was_replaced_and_until_it_expires(desk: Desk, set_clock: Clock) -> None:
    desk.roll_back("G000", "--no-approve")
    set_clock(LATER)
    desk.aams("keys", "rotate", "propose")
    desk.aams("approve", "G000")
    desk.is_right()
    desk.roll_back("G001", "--no-approve")
    before = read_ledger(desk.root)
    set_clock(NEXT_MONTH)
    complaint = desk.aams("approve", "G001", status=1)
    assert f"the proposal expired before {NEXT_MONTH}; got 2026-11-" in complaint
    assert "decline it and propose again" in complaint
    assert read_ledger(desk.root) == before


def test_a_lab_that_is_put_under_git_goes_on_and_keeps_the_name_it_got(desk: Desk) -> None:
    desk.roll_back("G000", "--no-approve")
    desk.put_under_git("ours")
    desk.aams("approve", "G000")
    desk.roll_back("G001")
    desk.is_right()
    before = read_ledger(desk.root)
    shutil.rmtree(desk.root / ".git")
    assert "is signed for another repository than what was promoted before; got unversioned, and git:" in (
        desk.roll_back("G000", status=1)
    )
    desk.put_under_git("another's")
    complaint = desk.roll_back("G000", status=1)
    assert complaint.count("git:") == 2 and "sign in a clone with the whole history" in complaint
    assert [one.entry.event for one in read_ledger(desk.root)[len(before) :]] == ["opened"]
    assert desk.head == "G001"
    desk.is_right()


def test_what_verify_would_refuse_is_never_written(desk: Desk) -> None:
    desk.put_under_git("ours")
    desk.roll_back("G000", "--no-approve")
    before = read_ledger(desk.root)
    desk.put_under_git("another's")
    assert "is signed for another repository" in desk.aams("approve", "G000", status=1)
    assert read_ledger(desk.root) == before
    desk.is_right()
    desk.aams("decline", "G000")
    desk.roll_back("G000")
    desk.is_right()


def test_a_revoked_key_that_a_promotion_knew_of_stays_revoked(desk: Desk) -> None:
    eve = desk.key_of_eve()
    desk.aams("keys", "revoke", "eve-propose")
    desk.roll_back("G000")
    desk.is_right()
    (desk.root / REVOKED_KEYS).unlink()
    complaint = desk.aams("verify", status=1)
    assert f"{REVOKED_KEYS} lacks a key that was revoked; got {eve}; restore it from Git" in complaint
    assert "approved.json" in complaint
    assert f"lacks a key that was revoked; got {eve}" in desk.roll_back("G001", status=1)
    assert desk.head == "G000"


def test_a_checkpoint_keeps_the_keys_that_were_revoked_before_any_promotion_did(desk: Desk, tmp_path: Path) -> None:
    eve, kept = desk.key_of_eve(), tmp_path / "checkpoint.json"
    assert "Keep a new `aams checkpoint` elsewhere" in desk.aams("keys", "revoke", "eve-propose")
    kept.write_text(desk.aams("checkpoint"))
    desk.is_right("--against", str(kept))
    (desk.root / REVOKED_KEYS).unlink()
    complaint = desk.aams("verify", "--against", str(kept), status=1)
    assert f"{REVOKED_KEYS}: lacks a key that was revoked; got {eve}; restore it from Git" in complaint
