from __future__ import annotations

import base64
import itertools
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from aams.errors import AamsError, SignatureError
from safety.keyfiles import public_key
from safety.signatures import Signer, Statement, check, check_distinct, dissect, payload, sign
from safety.signers import NAMESPACES, ROLES, AllowedKey, add_revoked, signer_line
from safety.sshkeygen import PROGRAM, ask, fingerprint, have_ssh_keygen, wire_string

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")

AT = "2026-11-21T01:40:00Z"
SIGNED = Statement(
    schema_version=1,
    repository="https://example.org/ann/aams",
    role="propose",
    domain="language",
    generation="G007",
    parent_head="G006 " + "a" * 64,
    manifest="b" * 64,
    results="c" * 64,
    tips=("d" * 64, "e" * 64),
    expires="2026-11-28T01:40:00Z",
    revoked=("SHA256:" + "a" * 43, "SHA256:" + "b" * 43),
)
OTHERWISE: dict[str, Any] = {
    "schema_version": 2,
    "repository": "https://example.org/bob/aams",
    "role": "verdict",
    "domain": "vision",
    "generation": "G008",
    "parent_head": "G006 " + "f" * 64,
    "manifest": "c" * 64,
    "results": "",
    "tips": ("d" * 64,),
    "expires": "2026-11-28T01:40:01Z",
    "revoked": ("SHA256:" + "a" * 43,),
}


class Desk:
    """Keys by name, and an allowed_signers file that a test may write anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allowed = folder / "allowed_signers"

    def key(self, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        path = self.folder / name
        if not path.exists():
            arguments = ("-q", "-t", kind, "-N", passphrase, "-C", name, "-f", str(path))
            assert ask(*arguments).status == 0
        return path

    def line(self, name: str, role: Any, after: str = "2026-01-01T00:00:00Z", before: str = "") -> str:
        return signer_line(AllowedKey(f"{name}-{role}", role, public_key(self.key(name)), after, before)) + "\n"

    def allow(self, *lines: str) -> None:
        self.allowed.write_text("".join(lines))

    def name(self, name: str) -> str:
        return fingerprint(public_key(self.key(name)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture
def desk(folder: Path) -> Desk:
    desk = Desk(folder)
    desk.allow(desk.line("ann", "propose"), desk.line("arbiter", "verdict"))
    return desk


@pytest.fixture(scope="module")
def signature(folder: Path) -> str:
    return sign(SIGNED, Desk(folder).key("ann"))


def test_who_signed_is_the_name_and_the_fingerprint_of_the_key(desk: Desk, signature: str) -> None:
    assert check(SIGNED, signature, desk.allowed, AT) == Signer("ann-propose", desk.name("ann"))


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_either_digest_that_ssh_keygen_offers_will_do(digest: str, desk: Desk) -> None:
    arguments = ("-Y", "sign", "-n", NAMESPACES["propose"], "-O", f"hashalg={digest}", "-f", str(desk.key("ann")))
    signature = ask(*arguments, stdin=payload(SIGNED)).stdout
    assert wire_string(digest.encode()) in unarmored(signature)
    assert check(SIGNED, signature, desk.allowed, AT).principal == "ann-propose"


def test_only_the_diagonal_verifies(desk: Desk, tmp_path: Path) -> None:
    """Role x key x namespace x payload x time: a signature holds when all five are the allowed ones."""
    times = ("2025-12-31T23:59:59Z", AT, "2026-11-28T01:40:01Z")
    passed = []
    for role, key, space, changed in itertools.product(ROLES, ("ann", "arbiter", "eve"), ROLES, (False, True)):
        signed = replace(SIGNED, role=role)
        content = payload(replace(signed, generation="G001") if changed else signed)
        arguments = ("-Y", "sign", "-n", NAMESPACES[space], "-f", str(desk.key(key)))
        text = ask(*arguments, stdin=content).stdout
        for at in times:
            try:
                signer = check(signed, text, desk.allowed, at)
            except SignatureError:
                continue
            assert signer.fingerprint == desk.name(key)
            passed.append((role, key, space, changed, at))
    assert passed == [("propose", "ann", "propose", False, AT), ("verdict", "arbiter", "verdict", False, AT)]


def test_the_otherwise_table_covers_every_field_of_a_statement() -> None:
    assert list(OTHERWISE) == [field.name for field in fields(Statement)]


@pytest.mark.parametrize("field", OTHERWISE)
def test_a_signature_holds_for_no_other_value_of_any_field(field: str, desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose"), desk.line("ann", "verdict"))
    changed = replace(SIGNED, **{field: OTHERWISE[field]})
    assert changed != SIGNED
    with pytest.raises(AamsError):
        check(changed, signature, desk.allowed, AT)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", True),
        ("repository", ""),
        ("repository", "a b"),
        ("repository", "a\n"),
        ("role", "both"),
        ("domain", "../language"),
        ("generation", "7"),
        ("generation", "G007\n"),
        ("parent_head", "G006"),
        ("parent_head", "G006 " + "A" * 64),
        ("manifest", ""),
        ("manifest", "b" * 63),
        ("results", "none"),
        ("tips", ("e" * 64, "d" * 64)),
        ("tips", ("d" * 64, "d" * 64)),
        ("tips", ("",)),
        ("expires", ""),
        ("expires", "2026-11-28"),
        ("revoked", ("SHA256:" + "a" * 44,)),
        ("revoked", ("SHA256:" + "b" * 43, "SHA256:" + "a" * 43)),
    ],
)
def test_a_statement_that_could_be_read_as_something_else_is_neither_signed_nor_checked(
    field: str, value: Any, desk: Desk, signature: str
) -> None:
    for attempt in (lambda bad: sign(bad, desk.key("ann")), lambda bad: check(bad, signature, desk.allowed, AT)):
        with pytest.raises(AamsError, match=f"statement.{field}: is not of the allowed form"):
            attempt(replace(SIGNED, **{field: value}))


def test_a_trial_of_a_root_has_no_generation_parent_results_or_tips_and_may_know_no_revoked_key(desk: Desk) -> None:
    first = replace(SIGNED, generation="", parent_head="", results="", tips=(), revoked=())
    assert check(first, sign(first, desk.key("ann")), desk.allowed, AT).principal == "ann-propose"


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-02-28T23:59:59Z", False),
        ("2026-03-01T00:00:00Z", True),
        ("2026-04-01T00:00:00Z", True),
        ("2026-04-01T00:00:01Z", False),
    ],
)
def test_a_key_counts_from_its_first_to_its_last_second(at: str, holds: bool, desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"))
    if holds:
        check(SIGNED, signature, desk.allowed, at)
        return
    with pytest.raises(SignatureError, match=f"not valid at {at}.* from 2026-03-01T00:00:00Z to 2026-04-01"):
        check(SIGNED, signature, desk.allowed, at)


def test_a_key_may_come_back_with_a_second_line(desk: Desk, signature: str) -> None:
    desk.allow(
        desk.line("ann", "propose", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        desk.line("ann", "propose", "2026-11-01T00:00:00Z"),
    )
    check(SIGNED, signature, desk.allowed, "2026-03-15T00:00:00Z")
    check(SIGNED, signature, desk.allowed, AT)
    with pytest.raises(SignatureError, match="not valid at"):
        check(SIGNED, signature, desk.allowed, "2026-05-01T00:00:00Z")


def test_a_statement_holds_until_its_last_second(desk: Desk, signature: str) -> None:
    check(SIGNED, signature, desk.allowed, SIGNED.expires)
    with pytest.raises(SignatureError, match="the statement expired before 2026-11-28T01:40:01Z"):
        check(SIGNED, signature, desk.allowed, "2026-11-28T01:40:01Z")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_callers_time_zone_changes_nothing(
    zone: str, desk: Desk, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    desk.allow(desk.line("ann", "propose", "2026-11-21T01:39:59Z", AT))
    check(SIGNED, signature, desk.allowed, AT)


def refusal(*arguments: Any) -> str:
    with pytest.raises(SignatureError) as refused:
        check(*arguments)
    return str(refused.value).replace("a signature is refused: ", "")


def test_each_refusal_names_its_reason(desk: Desk, signature: str, tmp_path: Path) -> None:
    ann, path = desk.name("ann"), desk.allowed
    unknown = f"{path}: its key is unknown; got {desk.name('eve')}; a person adds keys with `aams keys init`"
    assert refusal(SIGNED, sign(SIGNED, desk.key("eve")), path, AT) == unknown
    role = f"{path}: its key may not sign as propose; got {desk.name('arbiter')} of verdict"
    assert refusal(SIGNED, sign(SIGNED, desk.key("arbiter")), path, AT) == role
    space = "must be made in the namespace aams-verdict-v1; got 'aams-propose-v1'"
    assert refusal(replace(SIGNED, role="verdict"), signature, path, AT) == space
    other = re.sub("; got .*; ", "; ", refusal(replace(SIGNED, generation="G008"), signature, path, AT))
    assert other == "does not hold for this statement; sign exactly what is to be done"
    late = "the statement expired before 2026-11-28T01:40:01Z; got 2026-11-28T01:40:00Z; propose again"
    assert refusal(SIGNED, signature, path, "2026-11-28T01:40:01Z") == late
    add_revoked(tmp_path / "revoked", public_key(desk.key("ann")))
    revoked = f"the key is revoked; got {ann} of ann-propose; sign with another"
    assert refusal(SIGNED, signature, path, AT, tmp_path / "revoked") == revoked
    foreign = armored(unarmored(signature).replace(wire_string(b"aams-propose-v1"), wire_string(b"\xff" * 50)))
    space = f"must be made in the namespace aams-propose-v1; got '{chr(0xFFFD) * 40}'"
    assert refusal(SIGNED, foreign, path, AT) == space
    with pytest.raises(AamsError, match="is no time"):
        check(SIGNED, signature, path, "now")
    with pytest.raises(AamsError, match="can't be read"):
        check(SIGNED, signature, desk.folder / "nowhere", AT)


def test_a_key_that_was_not_valid_is_told_with_all_its_spans(desk: Desk, signature: str) -> None:
    spans = (("", "2026-03-01T00:00:00Z"), ("2026-12-01T00:00:00Z", ""))
    desk.allow(*(desk.line("ann", "propose", *span) for span in spans))
    said = refusal(SIGNED, signature, desk.allowed, AT)
    told = "valid from ever to 2026-03-01T00:00:00Z, from 2026-12-01T00:00:00Z to now"
    assert said == f"{desk.allowed}: its key was not valid at {AT}; got {desk.name('ann')}, {told}"


def test_a_field_that_is_not_allowed_is_shown_as_far_as_it_is_short() -> None:
    with pytest.raises(AamsError) as refused:
        payload(replace(SIGNED, repository="a b" * 100))
    shown = repr("a b" * 100)[:80]
    assert str(refused.value) == f"statement.repository: is not of the allowed form; got {shown}"


def test_one_key_under_two_names_is_no_second_key(desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose"), desk.line("ann", "verdict").replace("ann", "bob"))
    verdict = replace(SIGNED, role="verdict")
    first = check(SIGNED, signature, desk.allowed, AT)
    second = check(verdict, sign(verdict, desk.key("ann")), desk.allowed, AT)
    assert (first.principal, second.principal) == ("ann-propose", "bob-verdict")
    with pytest.raises(SignatureError, match=r"both roles; .* of ann-propose and bob-verdict; sign with a second key$"):
        check_distinct(first, second)
    check_distinct(first, Signer("ann-propose", desk.name("arbiter")))


@pytest.mark.parametrize("name", ["*", "ann-propose,arbiter-verdict", "ann-*", "ann-propose,!eve", '"ann-propose"'])
def test_a_pattern_or_a_list_of_names_lets_nobody_pass(name: str, desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose"), desk.line("eve", "propose").replace("eve-propose", name))
    for text in (signature, sign(SIGNED, desk.key("eve"))):
        with pytest.raises(AamsError, match="plain name"):
            check(SIGNED, text, desk.allowed, AT)


def test_a_name_shared_by_two_keys_gives_each_its_own_fingerprint(desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose"), desk.line("eve", "propose").replace("eve", "ann"))
    one = check(SIGNED, signature, desk.allowed, AT)
    two = check(SIGNED, sign(SIGNED, desk.key("eve")), desk.allowed, AT)
    assert (one.fingerprint, two.fingerprint) == (desk.name("ann"), desk.name("eve"))


def test_a_file_with_windows_line_ends_is_refused_by_line(desk: Desk, signature: str) -> None:
    desk.allow(desk.line("ann", "propose").replace("\n", "\r\n"))
    with pytest.raises(AamsError, match="allowed_signers:1:1: must be plain ASCII that ends in one line feed"):
        check(SIGNED, signature, desk.allowed, AT)


def test_a_revoked_key_counts_at_no_time(desk: Desk, signature: str, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked_keys"
    add_revoked(revoked, public_key(desk.key("eve")))
    check(SIGNED, signature, desk.allowed, AT, revoked)
    add_revoked(revoked, public_key(desk.key("ann")))
    for at in (AT, "2026-01-01T00:00:00Z"):
        with pytest.raises(SignatureError, match=r"the key is revoked; got SHA256:.* of ann-propose"):
            check(SIGNED, signature, desk.allowed, at, revoked)


def test_a_broken_revocation_list_lets_nobody_pass(desk: Desk, signature: str, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked_keys"
    add_revoked(revoked, public_key(desk.key("eve")))
    whole = revoked.read_bytes()
    for content in (b"", b"# nobody\n", whole[:8], whole[:-1], whole + b"x", whole.replace(b"SSHKRL", b"SSHKRM")):
        revoked.write_bytes(content)
        with pytest.raises(AamsError):
            check(SIGNED, signature, desk.allowed, AT, revoked)
    with pytest.raises(AamsError, match="can't be read"):
        check(SIGNED, signature, desk.allowed, AT, tmp_path / "missing")


def armored(blob: bytes, columns: int = 70) -> str:
    text = base64.b64encode(blob).decode()
    lines = "".join(text[start : start + columns] + "\n" for start in range(0, len(text), columns))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n"


def unarmored(text: str) -> bytes:
    return base64.b64decode("".join(text.splitlines()[1:-1]))


def damaged(good: str) -> Iterator[str]:
    """Texts that are not what ssh-keygen wrote, though some of them a looser reader would take."""
    blob = unarmored(good)
    assert armored(blob) == good
    yield from ("", "\n", "x", good[:-1], good.strip(), "\n" + good, " " + good, good + "\n", good + "x", good * 2)
    yield from (good.replace("\n", "\r\n"), good.replace("\n", " "), good.replace("BEGIN SSH", "BEGIN PGP"))
    yield from (good + "trailing garbage\n", good.replace("-----END", "=\n-----END"), good.replace("\n", "\n\n"))
    yield from (good[:60] + "\0" + good[61:], good[:60] + "\u0430" + good[61:], good[:60] + "\x1b" + good[61:])
    yield from ("A" * 10_000_000, "-----BEGIN SSH SIGNATURE-----\n" * 100_000, good[:100] + "A" * 3000 + good[100:])
    yield from (armored(blob + b"\0"), armored(blob[:-1]), armored(b""), armored(b"SSHSIG"), armored(blob[:10]))
    yield from (armored(blob[:6] + b"\0\0\0\2" + blob[10:]), armored(blob[:10] + b"\xff\xff\xff\xff" + blob[14:]))
    yield armored(blob.replace(b"\0\0\0\0\0\0\0\x06sha512", b"\0\0\0\1x\0\0\0\x06sha512"))
    yield armored(blob.replace(b"\0\0\0\x06sha512", b"\0\0\0\x03md5"))
    yield armored(blob.replace(b"ssh-ed25519", b"ssh-ed25518"))
    yield from (armored(blob, 64), armored(blob, 76), armored(blob, 10_000), armored(blob + wire_string(b"")))
    yield armored(blob.replace(wire_string(b"aams-propose-v1"), wire_string(b"a" * 4000)))


def test_anything_but_a_signature_as_written_is_refused_at_once(desk: Desk, signature: str) -> None:
    for text in damaged(signature):
        began = time.monotonic()
        for reader in (dissect, lambda bad: check(SIGNED, bad, desk.allowed, AT)):
            with pytest.raises(SignatureError):
                reader(text)
        assert time.monotonic() - began < 2


def test_what_is_no_signature_is_told_with_what_it_is(desk: Desk, signature: str) -> None:
    blob = unarmored(signature)
    kinds = {"another kind": armored(blob.replace(b"ssh-ed25519", b"ssh-ed25518")), "nothing": "x" * 100}
    said = {}
    for name, text in kinds.items():
        with pytest.raises(SignatureError) as refused:
            dissect(text)
        said[name] = str(refused.value).removeprefix("a signature is refused: ")
    key = base64.b64decode(public_key(desk.key("ann")).base64).replace(b"ssh-ed25519", b"ssh-ed25518")
    assert said["another kind"] == f"must be made by an ed25519 key; got {key[4:34]!r}; sign with another key"
    advice = "give what `ssh-keygen -Y sign` printed, unchanged"
    assert said["nothing"] == f"is no SSH signature; got '{'x' * 60}'; {advice}"


def test_no_flipped_bit_of_a_signature_passes(desk: Desk, signature: str) -> None:
    blob = unarmored(signature)
    for place in range(len(blob)):
        flipped = bytearray(blob)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(SignatureError):
            check(SIGNED, armored(bytes(flipped)), desk.allowed, AT)


def test_the_key_of_one_in_the_signature_of_another_is_refused(desk: Desk, signature: str) -> None:
    """A forger can claim any public key; only its private half makes a signature that holds."""
    forged = unarmored(sign(SIGNED, desk.key("eve")))
    anns, eves = (base64.b64decode(public_key(desk.key(name)).base64) for name in ("ann", "eve"))
    text = armored(forged.replace(eves, anns))
    assert dissect(text)[0] == public_key(desk.key("ann"))
    with pytest.raises(SignatureError, match="does not hold for this statement"):
        check(SIGNED, text, desk.allowed, AT)


def test_a_person_verifies_with_the_shell(desk: Desk, signature: str, tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(payload(SIGNED))
    (tmp_path / "sig").write_text(signature)
    line = (
        f"{PROGRAM} -Y verify -f '{desk.allowed}' -I ann-propose -n aams-propose-v1 -s sig"
        " -Overify-time=20261121014000Z < payload"
    )
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (
        0,
        f'Good "aams-propose-v1" signature for ann-propose with ED25519 key {desk.name("ann")}\n',
    )
