"""The two keys of this machine: made, replaced and revoked.

Takes a lab's root and a clock, gives what it changed. Private keys lie under the git-ignored `.aams/keys/`, one per
role, readable by their owner alone; what they may do lies in the committed `safety/allowed_signers`. A key is on disk
before its line is written, so a killed command is healed by the next one. Never overwrites a private key, except by the
one that replaces it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aams.errors import failure
from aams.files import exclusive, is_leftover, sync_directory
from aams.strict import SLUG
from safety.clock import utc_now
from safety.keyfiles import KEYS, generate, held_key, local_key, public_key
from safety.ledger import next_time, read_ledger
from safety.signers import (
    ALLOWED_SIGNERS,
    REVOKED_KEYS,
    ROLES,
    AllowedKey,
    Role,
    add_revoked,
    change_signers,
    read_signers,
    revoked_fingerprints,
    revoked_path,
)
from safety.sshkeygen import PublicKey, fingerprint

LOCK = ".aams/keys.lock"
NEXT = ".next"
"""Ends the name of a key that is about to replace another."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One line of allowed_signers as a person wants to see it."""

    allowed: AllowedKey
    fingerprint: str
    revoked: bool
    held: bool


def make_keys(root: Path, who: str, clock: Callable[[], str] = utc_now) -> tuple[str, ...]:
    """Give this machine a key for each role, and each key its line; what is there already stays.

    Args:
        who: begins the names in allowed_signers: `ann` gives `ann-propose` and `ann-verdict`.

    Returns:
        Paths of the files that were written; none when all was there.

    Raises:
        AamsError: the name is no plain name or is another key's, or a key here was ended or revoked.
    """
    path = root / ALLOWED_SIGNERS
    with _locked(root):
        signers, now, made = _signers(root), _now(root, clock), []
        gone = revoked_fingerprints(revoked_path(root))
        missing = [role for role in ROLES if local_key(root, role) is None]
        for role in ROLES:
            present = None if role in missing else public_key(held_key(root, role))
            _check_name(signers, gone, who, role, present, now)
        for role in missing:
            generate(root / KEYS / role)
            made.append(f"{KEYS}/{role}")
        keys = {role: public_key(held_key(root, role)) for role in ROLES}
        if len(set(keys.values())) != len(ROLES):
            raise failure("one key can't hold both roles", fingerprint(keys["verdict"]), "remove one", file=KEYS)
        lacking = [role for role in ROLES if not _lines_of(signers, role, keys[role])]
        if lacking:
            change_signers(path, [AllowedKey(f"{who}-{role}", role, keys[role], now) for role in lacking], now)
            made.append(ALLOWED_SIGNERS)
    return tuple(made)


def rotate_key(root: Path, role: Role, clock: Callable[[], str] = utc_now) -> AllowedKey:
    """Replace this machine's key of a role; the old one's line ends now, so what it signed until now still verifies.

    Now is not before the ledger's newest entry, which the old one may have signed while the clock was ahead.

    Returns:
        The new key's line.

    Raises:
        AamsError: there is no key here, an agent holds it, or it has no line or one that begins only now.
    """
    with _locked(root):
        signers, now, current = _signers(root), _now(root, clock), held_key(root, role)
        if current.suffix == ".pub":
            raise failure(
                "an ssh-agent holds this key",
                advice="put another .pub in its place, and end the old line with valid-before by hand",
                file=str(current),
            )
        lines = _lines_of(signers, role, public_key(current))
        if not lines:
            raise failure(
                f"has no line for this machine's {role} key", advice="run `aams keys init`", file=ALLOWED_SIGNERS
            )
        over = [line for line in lines if not line.valid_before or line.valid_before > now]
        if any(line.valid_after >= now for line in over):
            advice = f"now is {now} by the ledger and the clock; run again when it is later"
            raise failure(
                "the key to replace does not count before now", over[-1].valid_after, advice, file=ALLOWED_SIGNERS
            )
        upcoming = current.with_suffix(NEXT)
        if not upcoming.is_file():
            generate(upcoming)
        new = AllowedKey(lines[-1].principal, role, public_key(upcoming), now)
        change_signers(root / ALLOWED_SIGNERS, [new], now, over)
        _settle(root, role)
    return new


def revoke_key(root: Path, name: str) -> str:
    """Revoke a key: it verifies at no time any more, not even what it signed before.

    Args:
        name: a fingerprint, or a name in allowed_signers that only one key has.

    Returns:
        The fingerprint of the key, which is now in `safety/revoked_keys`.

    Raises:
        AamsError: no key has this name, or several have.
    """
    with _locked(root):
        named = {line.key for line in _signers(root) if name in (line.principal, fingerprint(line.key))}
        if not named:
            raise failure("has no such key", repr(name[:80]), "`aams keys list` shows them", file=ALLOWED_SIGNERS)
        gone = revoked_fingerprints(revoked_path(root))
        left = {key for key in named if fingerprint(key) not in gone}
        if len(left or named) > 1:
            prints = ", ".join(sorted(fingerprint(key) for key in left or named))
            raise failure("several keys have this name", repr(name[:80]), f"name one of {prints}")
        (key,) = left or named
        if left:
            add_revoked(root / REVOKED_KEYS, key)
    return fingerprint(key)


def list_keys(root: Path) -> tuple[ListedKey, ...]:
    """Show every line of allowed_signers, with what this machine knows about its key.

    Raises:
        AamsError: a file is broken, or a key here can't be read.
    """
    signers = _signers(root)
    gone = revoked_fingerprints(revoked_path(root))
    paths = [path for path in (local_key(root, role) for role in ROLES) if path]
    held = {public_key(path) for path in paths}
    prints = [fingerprint(line.key) for line in signers]
    return tuple(
        ListedKey(line, name, name in gone, line.key in held) for line, name in zip(signers, prints, strict=True)
    )


def _now(root: Path, clock: Callable[[], str]) -> str:
    """The time by which a line begins or ends."""
    return next_time(read_ledger(root), clock())


def _signers(root: Path) -> tuple[AllowedKey, ...]:
    path = root / ALLOWED_SIGNERS
    return read_signers(path) if path.exists() else ()


def _lines_of(signers: tuple[AllowedKey, ...], role: Role, key: PublicKey) -> list[AllowedKey]:
    return [line for line in signers if line.role == role and line.key == key]


def _check_name(
    signers: tuple[AllowedKey, ...],
    gone: frozenset[str],
    who: str,
    role: Role,
    present: PublicKey | None,
    now: str,
) -> None:
    """See that the key that is here counts, or that its name is free for it.

    Raises:
        AamsError: it was ended or revoked, or the name is another key's that counts.
    """

    def counts(line: AllowedKey) -> bool:
        return fingerprint(line.key) not in gone and (not line.valid_before or line.valid_before >= now)

    lines = _lines_of(signers, role, present) if present else []
    if lines:
        if not any(map(counts, lines)):
            advice = f"replace it with `aams keys rotate {role}`"
            raise failure(f"the {role} key here no longer counts", fingerprint(lines[0].key), advice, file=KEYS)
        return
    principal = f"{who}-{role}"
    if not SLUG.fullmatch(principal):
        raise failure("--name must be one plain name", repr(who[:80]), "use a-z, 0-9 and -, at most 55 of them")
    if any(line.principal == principal and counts(line) for line in signers):
        advice = f"choose another with --name, or `aams keys revoke {principal}` if that key is lost"
        raise failure("is another key's name", principal, advice, file=ALLOWED_SIGNERS)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Be the only one that changes keys, and begin by ending what a killed command began."""
    folder = root / KEYS
    with exclusive(root / LOCK, "`aams keys`"):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
            for path in (root / ALLOWED_SIGNERS).parent.glob(".*.part"):
                path.unlink(missing_ok=True)
            for path in folder.iterdir():
                if is_leftover(path):
                    shutil.rmtree(path, ignore_errors=True)
                elif path.suffix != ".pub":
                    path.chmod(0o600)
        except OSError as error:
            raise failure("can't be used for keys", error.strerror, "mend its permissions", file=str(folder)) from None
        for role in ROLES:
            _settle(root, role)
        yield


def _settle(root: Path, role: Role) -> None:
    """Put a replacement in its place once it has its line."""
    current = root / KEYS / role
    upcoming = current.with_suffix(NEXT)
    if upcoming.is_file() and _lines_of(_signers(root), role, public_key(upcoming)):
        upcoming.replace(current)
        sync_directory(current.parent)
