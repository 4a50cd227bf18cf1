"""Who may sign: `safety/allowed_signers`, and which keys are revoked: `safety/revoked_keys`.

Takes those two files, gives records, and new text for the first. Both are also read by `ssh-keygen` itself, so that a
person can check a signature without AAMS; this reader is stricter, so that a line means one key, one name and one role.
Never follows a pattern, a list of names or a certificate authority: it refuses the file that holds one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from aams.errors import AamsError, failure
from aams.files import read_bounded, write_whole
from aams.strict import SLUG
from safety.clock import FORM, is_time
from safety.sshkeygen import PublicKey, ask, fingerprint, parse_public_key

Role = Literal["propose", "verdict"]
ROLES: tuple[Role, ...] = ("propose", "verdict")
NAMESPACES: dict[Role, str] = {role: f"aams-{role}-v1" for role in ROLES}

ALLOWED_SIGNERS = "safety/allowed_signers"
REVOKED_KEYS = "safety/revoked_keys"
MAX_SIGNERS_BYTES = 256 * 1024
MAX_REVOKED_BYTES = 1024 * 1024
KRL_MAGIC = b"SSHKRL\n\0"

_LINE = re.compile(r"([^ ]+) +([^ ]+) +([^ ]+ +[^ ]+(?: .*)?)")
_OPTION = re.compile(r'(namespaces|valid-after|valid-before)="([^",]*)"')
_STAMP = "%Y%m%d%H%M%SZ"
_LISTED = re.compile(r"hash: (SHA256:[A-Za-z0-9+/]{43}) # [!-~]+")
"""How `ssh-keygen -Q -l` shows a key that was revoked by its public half."""


@dataclass(frozen=True, slots=True)
class AllowedKey:
    """One line: this key, under this name, may sign in this role from and until a time ("" for no bound), inclusive."""

    principal: str
    role: Role
    key: PublicKey
    valid_after: str = ""
    valid_before: str = ""


def read_signers(path: Path) -> tuple[AllowedKey, ...]:
    """Read the lines of an allowed_signers file.

    Raises:
        AamsError: naming the first line that is not of the one allowed form.
    """
    return parse_signers(read_bounded(path, MAX_SIGNERS_BYTES), str(path))


def parse_signers(content: bytes, source: str) -> tuple[AllowedKey, ...]:
    """Read the lines of an allowed_signers file from its bytes.

    Raises:
        AamsError: naming the first line that is not of the one allowed form.
    """
    return tuple(
        _parse_line(line, source, number)
        for number, line in enumerate(content.decode(errors="replace").split("\n"), start=1)
        if _is_entry(line)
    )


def _is_entry(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _parse_line(line: str, source: str, number: int) -> AllowedKey:
    def misfit(what: str, got: str, advice: str = "") -> AamsError:
        return failure(what, repr(got[:120]), advice, file=source, line=number, column=1)

    if not line.isascii() or not line.isprintable():
        raise misfit("must be plain ASCII that ends in one line feed", line[-40:], "write it without CR and tabs")
    parts = _LINE.fullmatch(line)
    if not parts:
        raise misfit("must be NAME OPTIONS KEY", line, "`aams keys init` writes such a line")
    principal, text, key = parts.groups()
    if not SLUG.fullmatch(principal):
        raise misfit("must begin with one plain name", principal, "use a-z, 0-9 and -, no pattern and no list")
    found = list(_OPTION.finditer(text))
    options = {option[1]: option[2] for option in found}
    if ",".join(option[0] for option in found) != text or len(options) != len(found):
        raise misfit("options must be of namespaces, valid-after and valid-before, each once", text)
    role = next((role for role in ROLES if NAMESPACES[role] == options.get("namespaces")), None)
    if role is None:
        raise misfit("namespaces must be one of " + ", ".join(NAMESPACES.values()), text)
    bounds = []
    for name in ("valid-after", "valid-before"):
        written = options.get(name)
        bounds.append("" if written is None else _time(written))
        if written is not None and not bounds[-1]:
            raise misfit(f"{name} must be a time in UTC, YYYYMMDDHHMMSSZ", written)
    if bounds[1] and bounds[1] <= bounds[0]:
        raise misfit("valid-before must be later than valid-after", text, "OpenSSH takes no such line")
    return AllowedKey(principal, role, parse_public_key(key, source, number), *bounds)


def _time(written: str) -> str:
    """The time that a stamp means; "" when it is no stamp."""
    try:
        time = datetime.strptime(written, _STAMP)
    except ValueError:
        return ""
    return time.strftime(FORM) if time.strftime(_STAMP) == written else ""


def stamp(time: str) -> str:
    """Write a time of `safety.clock` as OpenSSH does: `20261121014000Z`."""
    if not is_time(time):
        raise failure("is no time", repr(time[:40]), "write it like 2026-11-21T01:40:00Z")
    return datetime.strptime(time, FORM).strftime(_STAMP)


def signer_line(allowed: AllowedKey) -> str:
    """Write one line of an allowed_signers file, without its end."""
    options = [f'namespaces="{NAMESPACES[allowed.role]}"']
    bounds = (("valid-after", allowed.valid_after), ("valid-before", allowed.valid_before))
    options += [f'{name}="{stamp(time)}"' for name, time in bounds if time]
    return f"{allowed.principal} {','.join(options)} {allowed.key.kind} {allowed.key.base64}"


def change_signers(path: Path, add: Iterable[AllowedKey], now: str, ended: Iterable[AllowedKey] = ()) -> None:
    """Write the file anew: `ended` lines get valid-before = `now`, `add` go to its end, all else stays as it is.

    Raises:
        AamsError: the file can't be read or written; it is unchanged.
    """
    content = read_bounded(path, MAX_SIGNERS_BYTES) if path.exists() else b""
    over = frozenset(ended)
    lines = content.decode(errors="surrogateescape").split("\n")
    for index, line in enumerate(lines):
        allowed = _parse_line(line, str(path), index + 1) if _is_entry(line) else None
        if allowed in over and allowed:
            lines[index] = signer_line(replace(allowed, valid_before=now))
    while lines and not lines[-1]:
        lines.pop()
    lines += [signer_line(allowed) for allowed in add]
    write_whole(path, ("\n".join(lines) + "\n").encode(errors="surrogateescape"))


def revoked_path(root: Path) -> Path | None:
    """Where a lab keeps its revoked keys; None when it never revoked one."""
    path = root / REVOKED_KEYS
    return path if path.exists() else None


def read_revoked(path: Path) -> bytes:
    """Read a key revocation list's bytes.

    Raises:
        AamsError: it is not one. `ssh-keygen` would take any other file for a list of no keys, and revoke nobody.
    """
    content = read_bounded(path, MAX_REVOKED_BYTES)
    if not content.startswith(KRL_MAGIC):
        raise failure("is no key revocation list", repr(content[:20]), "restore it from Git", file=str(path))
    return content


def revoked_fingerprints(path: Path | None) -> frozenset[str]:
    """Name the keys of a revocation list; none without a list.

    Raises:
        AamsError: the list is broken, or holds what `aams keys revoke` never writes.
    """
    if path is None:
        return frozenset()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "krl").write_bytes(read_revoked(path))
        answer = ask("-Q", "-l", "-f", "krl", folder=Path(name))
    if answer.status != 0:
        raise failure("can't be read by ssh-keygen", answer.complaint, "restore it from Git", file=str(path))
    named = set()
    for line in answer.stdout.splitlines():
        listed = _LISTED.fullmatch(line)
        if listed:
            named.add(listed[1])
        elif line and (line[0] != "#" or line.startswith("# hash")):
            raise failure("must name whole keys alone", repr(line[:80]), "use `aams keys revoke`", file=str(path))
    return frozenset(named)


def add_revoked(path: Path, key: PublicKey) -> None:
    """Add a key to a revocation list, or begin one with it.

    Raises:
        AamsError: the list is broken or can't be written; it is unchanged.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        update = ["-u"] if path.exists() else []
        if update:
            (folder / "krl").write_bytes(read_revoked(path))
        (folder / "key").write_bytes(f"{key.kind} {key.base64}\n".encode())
        answer = ask("-k", *update, "-f", "krl", "key", folder=folder)
        if answer.status != 0:
            raise failure("can't be added to", f"{fingerprint(key)}: {answer.complaint}", file=str(path))
        write_whole(path, read_revoked(folder / "krl"))
