from __future__ import annotations

from pathlib import Path

import pytest

from aams.errors import AamsError
from safety.signers import (
    ALLOWED_SIGNERS,
    AllowedKey,
    change_signers,
    parse_signers,
    read_revoked,
    revoked_among,
    revoked_path,
    signer_line,
    stamp,
)
from safety.sshkeygen import PublicKey, fingerprint

ROOT = Path(__file__).resolve().parents[2]
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAINjOv90x9jddIoZ5xbYLma77FpbTDPkj8FwBrT0aojdK"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIHm7lYY5vZXeIj+cH89AW1V/PTOIETrcJoD42Pnr7QOL"
KEY = PublicKey("ssh-ed25519", BLOB)
SPACE = 'namespaces="aams-propose-v1"'
AFTER, BEFORE = 'valid-after="20260101000000Z"', 'valid-before="20270101000000Z"'
LINE = AllowedKey("ann-propose", "propose", KEY, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")


def test_the_repository_ships_without_any_signer() -> None:
    content = (ROOT / ALLOWED_SIGNERS).read_bytes()
    assert parse_signers(content, ALLOWED_SIGNERS) == ()
    assert all(line.startswith(b"#") for line in content.splitlines())


def test_a_line_comes_back_as_it_was_written() -> None:
    assert parse_signers((signer_line(LINE) + "\n").encode(), "x") == (LINE,)
    assert fingerprint(KEY) == "SHA256:mRzUnyktgHl5Tl35aF6qQIMoqlVraMBWvHPoPq6O2hY"


@pytest.mark.parametrize(
    "options",
    [
        f"{SPACE},{AFTER},{BEFORE}",
        f"{AFTER},{SPACE},{BEFORE}",
        f"{BEFORE},{AFTER},{SPACE}",
    ],
)
@pytest.mark.parametrize("comment", ["", " ann's laptop", " ann@host # of 2026"])
def test_the_order_of_options_and_a_comment_change_nothing(options: str, comment: str) -> None:
    text = f"# who\n\nann-propose {options}  ssh-ed25519 {BLOB}{comment}"
    assert parse_signers(text.encode(), "x") == (LINE,)


GOOD = f"ann-propose {SPACE} ssh-ed25519 {BLOB}"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (GOOD.replace("ann-propose", "*"), "plain name"),
        (GOOD.replace("ann-propose", "ann-*"), "plain name"),
        (GOOD.replace("ann-propose", "ann-propose,bob-propose"), "plain name"),
        (GOOD.replace("ann-propose", "!ann"), "plain name"),
        (GOOD.replace("ann-propose", '"ann propose"'), "plain name"),
        (GOOD.replace("ann-propose", "Ann"), "plain name"),
        (GOOD.replace("ann-propose", "-Iann"), "plain name"),
        (f" {GOOD}", "NAME OPTIONS KEY"),
        (GOOD + "\r", "one line feed"),
        (GOOD.replace(" ", "\t"), "one line feed"),
        (GOOD + " caf\u00e9", "plain ASCII"),
        (GOOD + "\0", "plain ASCII"),
        (f"ann-propose ssh-ed25519 {BLOB}", "NAME OPTIONS KEY"),
        (f"ann-propose ssh-ed25519 {BLOB} comment", "options must be"),
        (GOOD.replace(SPACE, AFTER), "namespaces must be one of"),
        (GOOD.replace("propose-v1", "*"), "namespaces must be one of"),
        (GOOD.replace("propose-v1", "propose-v2"), "namespaces must be one of"),
        (GOOD.replace("propose-v1", "propose-v1,aams-verdict-v1"), "options must be"),
        (GOOD.replace(SPACE, f"{SPACE},{SPACE}"), "each once"),
        (GOOD.replace(SPACE, f"cert-authority,{SPACE}"), "options must be"),
        (GOOD.replace(SPACE, f"{SPACE},"), "options must be"),
        (GOOD.replace(SPACE, f",{SPACE}"), "options must be"),
        (GOOD.replace(SPACE, SPACE.upper()), "options must be"),
        (GOOD.replace(SPACE, f'{SPACE},valid-after="20260101"'), "valid-after must be a time in UTC"),
        (GOOD.replace(SPACE, f'{SPACE},valid-after="20260101000000"'), "valid-after must be a time in UTC"),
        (GOOD.replace(SPACE, f'{SPACE},valid-after="20261301000000Z"'), "valid-after must be a time in UTC"),
        (GOOD.replace(SPACE, f'{SPACE},valid-before=""'), "valid-before must be a time in UTC"),
        (GOOD.replace(SPACE, f"{SPACE},{AFTER},{AFTER.replace('after', 'before')}"), "later than valid-after"),
        (GOOD.replace("ssh-ed25519", "ssh-rsa"), "ed25519 key"),
        (GOOD.replace("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"), "ed25519 key"),
        (GOOD.replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com"), "ed25519 key"),
        (GOOD[:-1], "ed25519 key"),
        (GOOD + "=", "ed25519 key"),
    ],
)
def test_a_line_that_could_mean_more_than_one_key_name_and_role_is_refused_by_its_number(
    line: str, complaint: str
) -> None:
    with pytest.raises(AamsError, match=f"^signers:2:1: .*{complaint}"):
        parse_signers(f"# first\n{line}\n".encode(), "signers")


def test_a_change_keeps_every_other_line_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    other = f'bob-verdict {AFTER},namespaces="aams-verdict-v1" ssh-ed25519 {OTHER} bob\'s'
    path.write_text(f"# who\u2028ever\n\n{signer_line(LINE)} old\n{other}\n\n", encoding="utf-8")
    new = AllowedKey("ann-propose", "propose", PublicKey("ssh-ed25519", OTHER), "2026-06-01T00:00:00Z")
    change_signers(path, [new], [LINE], "2026-06-01T00:00:00Z")
    ended = signer_line(LINE).replace("20270101", "20260601")
    assert path.read_text(encoding="utf-8") == f"# who\u2028ever\n\n{ended}\n{other}\n{signer_line(new)}\n"


def test_a_file_without_a_last_line_feed_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_text(GOOD)
    change_signers(path, [LINE])
    assert path.read_text() == f"{GOOD}\n{signer_line(LINE)}\n"


def test_a_broken_file_is_never_written_to(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_text("* cert-authority ssh-ed25519 AAAA\n")
    with pytest.raises(AamsError, match="plain name"):
        change_signers(path, [LINE])
    assert path.read_text() == "* cert-authority ssh-ed25519 AAAA\n"


@pytest.mark.parametrize("content", [b"", b"ssh-ed25519 AAAA\n", b"# nobody\n", b"SSHKRL\n"])
def test_a_file_that_is_no_revocation_list_is_never_taken_for_an_empty_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_bytes(content)
    with pytest.raises(AamsError, match="is no key revocation list"):
        read_revoked(tmp_path / "revoked")


def test_without_a_revocation_list_no_key_is_revoked(tmp_path: Path) -> None:
    assert revoked_path(tmp_path) is None
    assert revoked_among([KEY], None) == frozenset()


@pytest.mark.parametrize("time", ["", "20260101", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "now"])
def test_only_a_time_becomes_a_stamp(time: str) -> None:
    assert stamp("2026-11-21T01:40:00Z") == "20261121014000Z"
    with pytest.raises(AamsError, match="is no time"):
        stamp(time)
