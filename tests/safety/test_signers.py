from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aams import git
from aams.errors import AamsError
from safety.signers import (
    ALLOWED_SIGNERS,
    REVOKED_KEYS,
    AllowedKey,
    add_revoked,
    change_signers,
    parse_signers,
    read_revoked,
    read_signers,
    revoked_fingerprints,
    revoked_path,
    signer_line,
    stamp,
)
from safety.sshkeygen import PublicKey, ask, fingerprint, have_ssh_keygen

ROOT = Path(__file__).resolve().parents[2]
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAINjOv90x9jddIoZ5xbYLma77FpbTDPkj8FwBrT0aojdK"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIHm7lYY5vZXeIj+cH89AW1V/PTOIETrcJoD42Pnr7QOL"
KEY = PublicKey("ssh-ed25519", BLOB)
SPACE = 'namespaces="aams-propose-v1"'
AFTER, BEFORE = 'valid-after="20260101000000Z"', 'valid-before="20270101000000Z"'
NOW = "2026-06-01T00:00:00Z"
LINE = AllowedKey("ann-propose", "propose", KEY, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")


def test_the_repository_ships_without_any_signer() -> None:
    commit = git.head_commit(ROOT)
    content = git.tracked_bytes(ROOT, commit, ALLOWED_SIGNERS) if commit else (ROOT / ALLOWED_SIGNERS).read_bytes()
    assert content
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
        (GOOD.replace(SPACE, f'{SPACE},valid-after="2026010100000Z"'), "valid-after must be a time in UTC"),
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


LONG = f"{GOOD} {'x' * 200}"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            LONG + "\r",
            f"must be plain ASCII that ends in one line feed; got '{'x' * 39}\\r'; write it without CR and tabs",
        ),
        ("x" * 200, f"must be NAME OPTIONS KEY; got '{'x' * 120}'; `aams keys init` writes such a line"),
        (
            GOOD.replace("ann-propose", "*"),
            "must begin with one plain name; got '*'; use a-z, 0-9 and -, no pattern and no list",
        ),
        (
            GOOD.replace(SPACE, f"{SPACE},x"),
            f"options must be of namespaces, valid-after and valid-before, each once; got '{SPACE},x'",
        ),
        (
            GOOD.replace(SPACE, AFTER),
            f"namespaces must be one of aams-propose-v1, aams-verdict-v1; got '{AFTER}'",
        ),
        (
            GOOD.replace(SPACE, f'{SPACE},valid-before="2026"'),
            "valid-before must be a time in UTC, YYYYMMDDHHMMSSZ; got '2026'",
        ),
        (
            GOOD.replace(SPACE, f"{SPACE},{AFTER},{AFTER.replace('after', 'before')}"),
            f"valid-before must be later than valid-after; got '{SPACE},{AFTER},{AFTER.replace('after', 'before')}'; "
            "OpenSSH takes no such line",
        ),
        (
            f"ann-propose {SPACE} ssh-rsa AAAA",
            "must hold an ed25519 key; got 'ssh-rsa AAAA'; it looks like: ssh-ed25519 AAAAC3\u2026",
        ),
    ],
)
def test_a_refused_line_is_told_with_its_place_and_what_would_do(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(AamsError) as refused:
        parse_signers(f"{GOOD}\n\n{line}\n".encode(), "signers")
    assert str(refused.value) == f"signers:3:1: {complaint}"
    path = tmp_path / "signers"
    path.write_text(f"{GOOD}\n\n{line}\n", newline="")
    for use in (read_signers, lambda path: change_signers(path, [LINE], NOW)):
        with pytest.raises(AamsError) as refused:
            use(path)
        assert str(refused.value) == f"{path}:3:1: {complaint}"


def test_a_change_keeps_every_other_line_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    other = f'bob-verdict {AFTER},namespaces="aams-verdict-v1" ssh-ed25519 {OTHER} bob\'s'
    comment = b"# who\xe2\x80\xa8ever, M\xfcller, or whatever else\n\n"
    path.write_bytes(comment + f"{signer_line(LINE)} old\n{other}\n\n".encode())
    new = AllowedKey("ann-propose", "propose", PublicKey("ssh-ed25519", OTHER), NOW)
    change_signers(path, [new], NOW, [LINE])
    ended = signer_line(LINE).replace("20270101", "20260601")
    assert path.read_bytes() == comment + f"{ended}\n{other}\n{signer_line(new)}\n".encode()
    assert parse_signers(path.read_bytes(), "x")[::2] == (replace(LINE, valid_before=NOW), new)


def test_bytes_that_are_no_text_are_refused_outside_of_comments() -> None:
    with pytest.raises(AamsError, match="signers:1:1: must be plain ASCII"):
        parse_signers(GOOD.encode() + b" M\xfcller\n", "signers")


def test_a_file_without_a_last_line_feed_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_text(GOOD)
    change_signers(path, [LINE], NOW)
    assert path.read_text() == f"{GOOD}\n{signer_line(LINE)}\n"


def test_a_broken_file_is_never_written_to(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_text("* cert-authority ssh-ed25519 AAAA\n")
    with pytest.raises(AamsError, match="plain name"):
        change_signers(path, [LINE], NOW)
    assert path.read_text() == "* cert-authority ssh-ed25519 AAAA\n"


@pytest.mark.parametrize("content", [b"", b"ssh-ed25519 AAAA\n", b"# nobody\n", b"SSHKRL\n"])
def test_a_file_that_is_no_revocation_list_is_never_taken_for_an_empty_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_bytes(content + b"#" * 30)
    with pytest.raises(AamsError) as refused:
        read_revoked(path)
    got = repr((content + b"#" * 30)[:20])
    assert str(refused.value) == f"{path}: is no key revocation list; got {got}; restore it from Git"


@pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
def test_what_is_no_key_is_not_revoked_and_half_a_list_is_no_list(tmp_path: Path) -> None:
    path, broken = tmp_path / "revoked", PublicKey("ssh-ed25519", "AAAA")
    add_revoked(path, KEY)
    content = path.read_bytes()
    with pytest.raises(AamsError) as refused:
        add_revoked(path, broken)
    assert str(refused.value).startswith(f"{path}: can't be added to; got {fingerprint(broken)}: key:1: invalid key")
    assert path.read_bytes() == content
    path.write_bytes(content[:30])
    with pytest.raises(AamsError) as refused:
        revoked_fingerprints(path)
    assert str(refused.value).startswith(f"{path}: can't be read by ssh-keygen; got Invalid KRL file")
    assert str(refused.value).endswith("; restore it from Git")


@pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
def test_exactly_the_keys_that_were_revoked_are_named(tmp_path: Path) -> None:
    path, other = tmp_path / REVOKED_KEYS, PublicKey("ssh-ed25519", OTHER)
    path.parent.mkdir()
    add_revoked(path, KEY)
    assert revoked_path(tmp_path) == path
    assert revoked_fingerprints(path) == {fingerprint(KEY)}
    add_revoked(path, other)
    assert revoked_fingerprints(path) == {fingerprint(KEY), fingerprint(other)}, "a key once revoked stays so"


@pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
@pytest.mark.parametrize("said", ["sha256: {}", "sha1: {}", "id: " + "x" * 90])
def test_a_list_that_names_keys_in_another_way_is_refused(said: str, tmp_path: Path) -> None:
    """What could not be put on record as a fingerprint would not be missed when it is gone."""
    path, key = tmp_path / "revoked", f"{KEY.kind} {KEY.base64}"
    (tmp_path / "said").write_text(said.format(key) + "\n")
    (tmp_path / "authority").write_text(key + "\n")
    assert ask("-k", "-f", "revoked", "-s", "authority", "said", folder=tmp_path).status == 0
    with pytest.raises(AamsError) as refused:
        revoked_fingerprints(path)
    wrote = str(refused.value).removeprefix(f"{path}: must name whole keys alone; got '")
    assert wrote.endswith("'; use `aams keys revoke`")
    assert len(wrote.removesuffix("'; use `aams keys revoke`")) <= 80


def test_without_a_revocation_list_no_key_is_revoked(tmp_path: Path) -> None:
    assert revoked_path(tmp_path) is None
    assert revoked_fingerprints(None) == frozenset()


@pytest.mark.parametrize(
    "time", ["", "20260101", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "x" * 50]
)
def test_only_a_time_becomes_a_stamp(time: str) -> None:
    assert stamp("2026-11-21T01:40:00Z") == "20261121014000Z"
    with pytest.raises(AamsError) as refused:
        stamp(time)
    assert str(refused.value) == f"is no time; got {time[:40]!r}; write it like 2026-11-21T01:40:00Z"
