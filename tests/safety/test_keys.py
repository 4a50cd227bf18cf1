from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import safety.keys
from aams.errors import AamsError, SignatureError
from safety.keyfiles import KEYS, generate, local_key, public_key
from safety.keys import list_keys, make_keys, revoke_key, rotate_key
from safety.signatures import Statement, check, check_distinct, sign
from safety.signers import ALLOWED_SIGNERS, REVOKED_KEYS, ROLES, AllowedKey, read_signers, revoked_path
from safety.sshkeygen import ask, fingerprint, have_ssh_keygen

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")

DAYS = [f"2026-11-{day:02d}T00:00:00Z" for day in range(1, 20)]
STATEMENT = Statement(1, "aams", "propose", "language", "G007", "", "b" * 64, "", (), "2027-01-01T00:00:00Z")


def on(day: int) -> Callable[[], str]:
    return lambda: DAYS[day]


def held(root: Path) -> dict[str, str]:
    return {role: fingerprint(public_key(path)) for role in ROLES if (path := local_key(root, role))}


def everything(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "keys.lock"
    }


def signed(root: Path) -> str:
    path = local_key(root, "propose")
    assert path
    return sign(STATEMENT, path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_keys(tmp_path, "ann", on(0))
    return tmp_path


def test_a_lab_without_keys_gets_two_that_sign_and_are_distinct(tmp_path: Path) -> None:
    assert local_key(tmp_path, "propose") is None
    assert make_keys(tmp_path, "ann", on(0)) == (f"{KEYS}/propose", f"{KEYS}/verdict", ALLOWED_SIGNERS)
    signers = []
    for role in ROLES:
        statement = Statement(1, "aams", role, "language", "", "", "b" * 64, "", (), "2027-01-01T00:00:00Z")
        path = local_key(tmp_path, role)
        assert path
        signers.append(check(statement, sign(statement, path), tmp_path / ALLOWED_SIGNERS, DAYS[1]))
    assert [signer.principal for signer in signers] == ["ann-propose", "ann-verdict"]
    check_distinct(*signers)


def test_private_keys_are_their_owners_alone(root: Path) -> None:
    assert stat.S_IMODE((root / KEYS).stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (root / KEYS).iterdir()}
    assert files == {"propose": 0o600, "verdict": 0o600}


def test_making_keys_twice_changes_nothing(root: Path) -> None:
    before = everything(root)
    assert make_keys(root, "ann", on(1)) == ()
    assert make_keys(root, "bob", on(1)) == (), "the keys have their lines, whatever name is given now"
    assert everything(root) == before


def test_a_missing_line_comes_back_for_the_key_that_is_here(root: Path) -> None:
    before = held(root)
    lines = (root / ALLOWED_SIGNERS).read_text().splitlines(keepends=True)
    (root / ALLOWED_SIGNERS).write_text("# ours\n" + lines[0])
    assert make_keys(root, "ann", on(1)) == (ALLOWED_SIGNERS,)
    assert held(root) == before
    again = read_signers(root / ALLOWED_SIGNERS)
    assert [(line.principal, line.valid_after) for line in again] == [
        ("ann-propose", DAYS[0]),
        ("ann-verdict", DAYS[1]),
    ]
    (root / ALLOWED_SIGNERS).unlink()
    assert make_keys(root, "ann", on(2)) == (ALLOWED_SIGNERS,)
    assert held(root) == before


def test_a_missing_key_is_made_and_the_other_stays(root: Path) -> None:
    before = held(root)
    (root / KEYS / "verdict").unlink()
    with pytest.raises(AamsError, match=r"is another key's name; got ann-verdict; .*--name, or `aams keys revoke"):
        make_keys(root, "ann", on(1))
    assert not (root / KEYS / "verdict").exists()
    assert make_keys(root, "ann2", on(1)) == (f"{KEYS}/verdict", ALLOWED_SIGNERS)
    assert held(root)["propose"] == before["propose"]
    assert [line.principal for line in read_signers(root / ALLOWED_SIGNERS)] == [
        "ann-propose",
        "ann-verdict",
        "ann2-verdict",
    ]


def test_the_name_of_a_lost_key_is_free_once_it_is_revoked(root: Path) -> None:
    (root / KEYS / "verdict").unlink()
    revoke_key(root, "ann-verdict")
    make_keys(root, "ann", on(1))
    assert [(key.allowed.principal, key.revoked, key.held) for key in list_keys(root)] == [
        ("ann-propose", False, True),
        ("ann-verdict", True, False),
        ("ann-verdict", False, True),
    ]


def test_permissions_and_leftovers_of_a_killed_command_are_mended(root: Path) -> None:
    (root / KEYS).chmod(0o755)
    (root / KEYS / "propose").chmod(0o644)
    (root / KEYS / ".abc.part").mkdir()
    (root / KEYS / ".abc.part" / "key").write_text("half")
    assert make_keys(root, "ann", on(1)) == ()
    test_private_keys_are_their_owners_alone(root)


@pytest.mark.parametrize("name", ["", "Ann", "ann,bob", "*", "ann bob", "ann\n", "../ann", "-ann", "a" * 56, "änn"])
def test_a_name_that_is_no_plain_name_makes_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(AamsError, match="--name must be one plain name"):
        make_keys(tmp_path, name, on(0))
    assert everything(tmp_path) == {}


def test_a_copy_of_one_key_never_gets_the_other_role(root: Path) -> None:
    (root / KEYS / "verdict").unlink()
    (root / KEYS / "verdict").write_bytes((root / KEYS / "propose").read_bytes())
    before = (root / ALLOWED_SIGNERS).read_bytes()
    with pytest.raises(AamsError, match="one key can't hold both roles"):
        make_keys(root, "bob", on(1))
    assert (root / ALLOWED_SIGNERS).read_bytes() == before


def test_a_key_is_never_overwritten(root: Path) -> None:
    before = everything(root)
    with pytest.raises(AamsError, match="can't be written"):
        generate(root / KEYS / "propose")
    assert everything(root) == before
    assert sorted(path.name for path in (root / KEYS).iterdir()) == ["propose", "verdict"]


def test_a_key_with_a_passphrase_is_told_where_to_go(tmp_path: Path) -> None:
    (tmp_path / KEYS).mkdir(parents=True)
    ask("-q", "-t", "ed25519", "-N", "swordfish", "-f", str(tmp_path / KEYS / "propose"))
    with pytest.raises(AamsError, match=r"propose: this key can't be read; .*ssh-add and keep only propose\.pub"):
        make_keys(tmp_path, "ann", on(0))
    (tmp_path / KEYS / "propose").unlink()
    make_keys(tmp_path, "ann", on(0))
    assert local_key(tmp_path, "propose") == tmp_path / KEYS / "propose.pub"
    with pytest.raises(AamsError, match=r"propose\.pub: an ssh-agent holds this key"):
        rotate_key(tmp_path, "propose", on(1))


def test_after_a_rotation_the_old_signature_holds_at_its_time_and_the_old_key_signs_nothing_new(root: Path) -> None:
    allowed, early, old = root / ALLOWED_SIGNERS, signed(root), (root / KEYS / "propose").read_bytes()
    before = held(root)
    new = rotate_key(root, "propose", on(5))
    assert new == AllowedKey("ann-propose", "propose", public_key(root / KEYS / "propose"), DAYS[5])
    assert held(root)["propose"] == fingerprint(new.key) != before["propose"]
    assert held(root)["verdict"] == before["verdict"]
    assert check(STATEMENT, early, allowed, DAYS[4]).fingerprint == before["propose"]
    assert check(STATEMENT, signed(root), allowed, DAYS[6]).fingerprint == fingerprint(new.key)
    (root / "old").write_bytes(old)
    (root / "old").chmod(0o600)
    for late in (early, sign(STATEMENT, root / "old")):
        with pytest.raises(SignatureError, match=f"not valid at {DAYS[6]}"):
            check(STATEMENT, late, allowed, DAYS[6])
    with pytest.raises(SignatureError, match=f"not valid at {DAYS[4]}"):
        check(STATEMENT, signed(root), allowed, DAYS[4])


def test_many_rotations_leave_one_line_that_counts(root: Path) -> None:
    for day in range(1, 5):
        rotate_key(root, "verdict", on(day))
    lines = [line for line in read_signers(root / ALLOWED_SIGNERS) if line.role == "verdict"]
    assert [(line.valid_after, line.valid_before) for line in lines] == [
        (DAYS[day], DAYS[day + 1] if day < 4 else "") for day in range(5)
    ]
    assert make_keys(root, "ann", on(6)) == ()


def test_a_key_is_not_replaced_in_the_second_it_was_made(root: Path) -> None:
    before = everything(root)
    with pytest.raises(AamsError, match=f"does not count before now; got {DAYS[0]}"):
        rotate_key(root, "propose", on(0))
    assert everything(root) == before


def test_a_line_begins_and_ends_no_earlier_than_the_newest_entry(lab: Any) -> None:
    """What a clock that was ahead let the old key sign, it signed before it was replaced."""
    newest = lab.ledger[-1].entry.time
    new = rotate_key(lab.root, "verdict", lambda: DAYS[1])
    assert [line.valid_before for line in read_signers(lab.root / ALLOWED_SIGNERS)] == ["", newest, ""]
    assert new.valid_after == newest
    with pytest.raises(AamsError, match=f"does not count before now; got {newest}; now is {newest} by the ledger"):
        rotate_key(lab.root, "verdict", lambda: DAYS[1])
    (lab.root / KEYS / "propose").unlink()
    make_keys(lab.root, "bob", lambda: DAYS[1])
    assert read_signers(lab.root / ALLOWED_SIGNERS)[-1].valid_after == newest


def test_a_line_that_a_person_ended_stays_ended_then(root: Path) -> None:
    path = root / ALLOWED_SIGNERS
    path.write_text(path.read_text().replace('000000Z" ', '000000Z",valid-before="20261103000000Z" '))
    assert make_keys(root, "ann", on(2)) == (), "it counts until then"
    with pytest.raises(AamsError, match="the propose key here no longer counts"):
        make_keys(root, "ann", on(3))
    rotate_key(root, "propose", on(5))
    lines = [line for line in read_signers(path) if line.role == "propose"]
    assert [(line.valid_after, line.valid_before) for line in lines] == [(DAYS[0], DAYS[2]), (DAYS[5], "")]


def test_what_is_not_here_or_not_allowed_is_not_rotated(tmp_path: Path) -> None:
    with pytest.raises(AamsError, match="there is no propose key here; run `aams keys init`"):
        rotate_key(tmp_path, "propose", on(0))
    make_keys(tmp_path, "ann", on(0))
    (tmp_path / ALLOWED_SIGNERS).write_text("")
    with pytest.raises(AamsError, match="has no line for this machine's propose key; run `aams keys init`"):
        rotate_key(tmp_path, "propose", on(1))


class KilledError(Exception):
    pass


@pytest.mark.parametrize("step", ["generate", "change_signers", "_settle"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("again", ["rotate", "init"])
def test_a_rotation_killed_at_any_step_is_ended_by_the_next_command(
    step: str, after: bool, again: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, done = signed(root), getattr(safety.keys, step)

    def killed(*arguments: object) -> None:
        if step == "_settle" and not (root / KEYS / "propose.next").exists():
            return
        if after:
            done(*arguments)
        raise KilledError

    monkeypatch.setattr(safety.keys, step, killed)
    with pytest.raises(KilledError):
        rotate_key(root, "propose", on(2))
    monkeypatch.undo()
    if again == "rotate":
        rotate_key(root, "propose", on(3))
    make_keys(root, "ann", on(4))
    assert check(STATEMENT, signed(root), root / ALLOWED_SIGNERS, DAYS[5]).principal == "ann-propose"
    check(STATEMENT, early, root / ALLOWED_SIGNERS, DAYS[1])
    counting = [key for key in list_keys(root) if not key.allowed.valid_before]
    assert [(key.allowed.role, key.held) for key in sorted(counting, key=str)] == [("propose", True), ("verdict", True)]


@pytest.mark.parametrize("step", ["generate", "change_signers"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_init_killed_at_any_step_is_ended_by_the_next(
    step: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = getattr(safety.keys, step)

    def killed(*arguments: object) -> None:
        if after:
            done(*arguments)
        raise KilledError

    monkeypatch.setattr(safety.keys, step, killed)
    with pytest.raises(KilledError):
        make_keys(tmp_path, "ann", on(0))
    monkeypatch.undo()
    before = held(tmp_path)
    make_keys(tmp_path, "ann", on(1))
    assert before.items() <= held(tmp_path).items()
    assert [key.held for key in list_keys(tmp_path)] == [True, True]


def test_a_revoked_key_counts_at_no_time_and_is_replaced_by_a_rotation(root: Path) -> None:
    early = signed(root)
    before = held(root)["propose"]
    assert revoke_key(root, "ann-propose") == before
    content = (root / REVOKED_KEYS).read_bytes()
    assert revoke_key(root, before) == before
    assert (root / REVOKED_KEYS).read_bytes() == content, "revoking twice changes nothing"
    for day in (0, 1, 5):
        with pytest.raises(SignatureError, match="the key is revoked"):
            check(STATEMENT, early, root / ALLOWED_SIGNERS, DAYS[day], revoked_path(root))
    with pytest.raises(AamsError, match=r"the propose key here no longer counts; .*`aams keys rotate propose`"):
        make_keys(root, "ann", on(1))
    rotate_key(root, "propose", on(2))
    assert make_keys(root, "ann", on(3)) == ()
    check(STATEMENT, signed(root), root / ALLOWED_SIGNERS, DAYS[4], revoked_path(root))


def test_revoking_a_second_key_keeps_the_first_revoked(root: Path) -> None:
    for name in ("ann-propose", "ann-verdict"):
        revoke_key(root, name)
    assert [key.revoked for key in list_keys(root)] == [True, True]


def test_a_name_of_several_keys_is_revoked_by_fingerprint(root: Path) -> None:
    first = held(root)["propose"]
    rotate_key(root, "propose", on(1))
    with pytest.raises(AamsError, match="several keys have this name; got 'ann-propose'; name one of SHA256:"):
        revoke_key(root, "ann-propose")
    assert revoked_path(root) is None
    assert revoke_key(root, first) == first
    assert revoke_key(root, "ann-propose") == held(root)["propose"], "one is left that the name can mean"


@pytest.mark.parametrize("name", ["", "bob-propose", "SHA256:", "ann-*", "\x1b[2J"])
def test_an_unknown_key_is_not_revoked(name: str, root: Path) -> None:
    with pytest.raises(AamsError, match="has no such key"):
        revoke_key(root, name)
    assert revoked_path(root) is None


def test_a_broken_revocation_list_is_never_replaced(root: Path) -> None:
    (root / REVOKED_KEYS).write_text("")
    for attempt in (lambda: revoke_key(root, "ann-propose"), lambda: list_keys(root)):
        with pytest.raises(AamsError, match="is no key revocation list"):
            attempt()
    assert (root / REVOKED_KEYS).read_bytes() == b""


def test_without_ssh_keygen_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AamsError, match="ssh-keygen isn't installed; it comes with OpenSSH"):
        make_keys(tmp_path, "ann", on(0))
    assert everything(tmp_path) == {}
