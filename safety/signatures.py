"""Signatures: what each of the two keys says about a promotion, and whether it really said so.

Takes a `Statement` and a key, gives an armored SSH signature over the statement's canonical JSON; takes both and the
allowed signers, gives the `Signer`. A signature comes from outside: it is held against the one form `ssh-keygen` writes
before anything reads it. Never trusts a name: a signer is the fingerprint of the key that signed.
"""

from __future__ import annotations

import base64
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aams.canonical import SHA256, canonical_json, to_data
from aams.errors import Problem, SignatureError, failure
from aams.files import read_bounded
from aams.strict import SLUG
from safety.clock import is_time
from safety.signers import (
    MAX_SIGNERS_BYTES,
    NAMESPACES,
    ROLES,
    AllowedKey,
    Role,
    parse_signers,
    read_revoked,
    revoked_fingerprints,
    stamp,
)
from safety.sshkeygen import KINDS, PublicKey, ask, decode_base64, fingerprint, wire_string

MAX_SIGNATURE_CHARACTERS = 2048
BEGIN, END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
COLUMNS = 70

_REPOSITORY = re.compile(r"[!-~]{1,200}")
_GENERATION = re.compile(r"(G[0-9]{3,9})?")
_PARENT = re.compile(r"(G[0-9]{3,9} [0-9a-f]{64})?")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")

UNVERSIONED = "unversioned"
"""Names a lab outside of Git in statements."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one role's key signs: this promotion of this child, in this repository, on top of this history.

    Attributes:
        repository: its URL or name, so that a signature counts in one place.
        generation: e.g. G007; "" for a trial.
        parent_head: the champion's generation and the digest of its verdict's entry; "" for a root.
        manifest: digest of the manifest's inputs.
        results: digest of what came back; "" before there is any.
        tips: digests of the ledger's entries that none follows, ascending.
        expires: the last second at which the statement may be used.
        revoked: fingerprints of all keys that its signer knew as revoked, ascending; they never count again.
    """

    schema_version: int
    repository: str
    role: Role
    domain: str
    generation: str
    parent_head: str
    manifest: str
    results: str
    tips: tuple[str, ...]
    expires: str
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed: the name in allowed_signers, and the fingerprint of the key, `SHA256:…`."""

    principal: str
    fingerprint: str


def payload(statement: Statement) -> bytes:
    """The exact bytes that are signed.

    Raises:
        AamsError: a field is not of the allowed form.
    """
    allowed = {
        "schema_version": type(statement.schema_version) is int and statement.schema_version == 1,
        "repository": _REPOSITORY.fullmatch(statement.repository),
        "role": statement.role in ROLES,
        "domain": SLUG.fullmatch(statement.domain),
        "generation": _GENERATION.fullmatch(statement.generation),
        "parent_head": _PARENT.fullmatch(statement.parent_head),
        "manifest": SHA256.fullmatch(statement.manifest),
        "results": not statement.results or SHA256.fullmatch(statement.results),
        "tips": _is_ascending(statement.tips, SHA256),
        "expires": is_time(statement.expires),
        "revoked": _is_ascending(statement.revoked, _FINGERPRINT),
    }
    for name, holds in allowed.items():
        if not holds:
            raise failure("is not of the allowed form", repr(getattr(statement, name))[:80], path=f"statement.{name}")
    return canonical_json(to_data(statement))


def _is_ascending(texts: tuple[str, ...], form: re.Pattern[str]) -> bool:
    return all(map(form.fullmatch, texts)) and list(texts) == sorted(set(texts))


def sign(statement: Statement, key: Path) -> str:
    """Sign a statement in its role's namespace.

    Args:
        key: a private key without a passphrase, or a public key whose private half an ssh-agent holds.

    Returns:
        The armored signature, ASCII.

    Raises:
        AamsError: there is no such key, or it needs a passphrase, an agent or stricter permissions.
    """
    content = payload(statement)
    if not key.is_file():
        raise failure("there is no such key", advice="`aams keys init` makes one", file=str(key))
    namespace = NAMESPACES[statement.role]
    answer = ask("-Y", "sign", "-n", namespace, "-f", str(key.absolute()), stdin=content, agent=True)
    if answer.status != 0:
        advice = "see whether it is a private key"
        if "too open" in answer.stderr:
            advice = "make it yours alone with chmod 600"
        elif "passphrase" in answer.stderr:
            advice = "AAMS asks for no passphrase: load it with ssh-add, or take a key without one"
        elif "No private key" in answer.stderr:
            advice = "load its private key into ssh-agent with ssh-add"
        raise failure("this key can't sign", answer.complaint, advice, file=str(key))
    dissect(answer.stdout)
    return answer.stdout


def check(statement: Statement, signature: str, allowed_signers: Path, at: str, revoked: Path | None = None) -> Signer:
    """Find out who signed exactly this statement, in its role.

    Args:
        at: the time at which it was used; the key and the statement must have been valid then.
        revoked: a key revocation list; a key in it counts at no time.

    Raises:
        SignatureError: the signature is no such signature, or its key was not allowed to make it.
        AamsError: a file is broken, a field is not of the allowed form, or ssh-keygen can't be asked.
    """
    content, when = payload(statement), stamp(at)
    if statement.expires < at:
        raise _refusal(f"the statement expired before {at}", statement.expires, "propose again")
    key, namespace = dissect(signature)
    if namespace != NAMESPACES[statement.role]:
        raise _refusal(f"must be made in the namespace {NAMESPACES[statement.role]}", repr(namespace[:40]))
    signers = read_bounded(allowed_signers, MAX_SIGNERS_BYTES)
    allowed = _choose(parse_signers(signers, str(allowed_signers)), key, statement.role, at, allowed_signers)
    krl = read_revoked(revoked) if revoked else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "allowed_signers").write_bytes(signers)
        (folder / "signature").write_bytes(signature.encode())
        arguments = ["-Y", "verify", "-n", namespace, "-I", allowed.principal, "-O", f"verify-time={when}"]
        if krl is not None:
            (folder / "revoked_keys").write_bytes(krl)
            arguments += ["-r", "revoked_keys"]
        answer = ask(*arguments, "-f", "allowed_signers", "-s", "signature", stdin=content, folder=folder)
    signer = Signer(allowed.principal, fingerprint(key))
    if answer.status != 0:
        if signer.fingerprint in revoked_fingerprints(revoked):
            raise _refusal("the key is revoked", f"{signer.fingerprint} of {signer.principal}", "sign with another")
        raise _refusal("does not hold for this statement", answer.complaint, "sign exactly what is to be done")
    wanted = f'Good "{namespace}" signature for {signer.principal} with {KINDS[key.kind]} key {signer.fingerprint}\n'
    if answer.stdout != wanted:
        raise _refusal("ssh-keygen names another signer", repr(answer.stdout[:200]))
    return signer


def check_distinct(first: Signer, second: Signer) -> None:
    """See that two signatures are by two keys, whatever their names.

    Raises:
        SignatureError: one key signed both.
    """
    if first.fingerprint == second.fingerprint:
        names = " and ".join(dict.fromkeys((first.principal, second.principal)))
        raise _refusal("one key can't sign both roles", f"{first.fingerprint} of {names}", "sign with a second key")


def _choose(signers: tuple[AllowedKey, ...], key: PublicKey, role: Role, at: str, path: Path) -> AllowedKey:
    of_key = [allowed for allowed in signers if allowed.key == key]
    of_role = [allowed for allowed in of_key if allowed.role == role]
    for allowed in of_role:
        if allowed.valid_after <= at and (not allowed.valid_before or at <= allowed.valid_before):
            return allowed
    if of_role:
        spans = ", ".join(f"from {line.valid_after or 'ever'} to {line.valid_before or 'now'}" for line in of_role)
        raise _refusal(f"its key was not valid at {at}", f"{fingerprint(key)}, valid {spans}", file=str(path))
    if of_key:
        raise _refusal(f"its key may not sign as {role}", f"{fingerprint(key)} of {of_key[0].role}", file=str(path))
    raise _refusal("its key is unknown", fingerprint(key), "a person adds keys with `aams keys init`", file=str(path))


def dissect(signature: str) -> tuple[PublicKey, str]:
    """Read the key and the namespace that an armored signature claims, without believing them.

    The form is OpenSSH's PROTOCOL.sshsig, and exactly as `ssh-keygen` writes it.

    Raises:
        SignatureError: it is anything else.
    """
    body = signature.removeprefix(BEGIN).removesuffix(END)
    blob = None
    if len(signature) <= MAX_SIGNATURE_CHARACTERS and signature.isascii():
        text = body.replace("\n", "")
        lines = [text[start : start + COLUMNS] + "\n" for start in range(0, len(text), COLUMNS)]
        blob = decode_base64(text) if signature == BEGIN + "".join(lines) + END else None
    parts = _strings(blob.removeprefix(b"SSHSIG\0\0\0\1")) if blob and blob.startswith(b"SSHSIG\0\0\0\1") else None
    if parts is None or len(parts) != 5 or parts[2] or parts[3] not in (b"sha512", b"sha256"):
        raise _refusal("is no SSH signature", repr(signature[:60]), "give what `ssh-keygen -Y sign` printed, unchanged")
    kind = next((kind for kind in KINDS if parts[0].startswith(wire_string(kind.encode()))), None)
    if kind is None:
        raise _refusal("must be made by an ed25519 key", repr(parts[0][4:34]), "sign with another key")
    return PublicKey(kind, base64.b64encode(parts[0]).decode()), parts[1].decode(errors="replace")


def _strings(content: bytes) -> list[bytes] | None:
    """Cut bytes into the SSH strings they are; None when they are not exactly that."""
    parts = []
    while content:
        end = 4 + int.from_bytes(content[:4])
        if end > len(content):
            return None
        parts.append(content[4:end])
        content = content[end:]
    return parts


def _refusal(what: str, got: str, advice: str = "", file: str = "") -> SignatureError:
    return SignatureError(Problem("a signature is refused: " + what, got, advice, file))
