"""Everything the trainer reads and writes as JSON: the manifest, records of what ended, and `results.json`.

Takes a bundle's directory and what its runs came to, gives files that are written whole or not at all. Whatever can
differ between two equal trainings (times, memory) lies under a key named `timing`. Never imports torch by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TAKEN = ("progress", "results", "rungs")
"""Names of the trainer's own files, which no run's may be mistaken for."""


class BundleError(Exception):
    """The bundle is not what its manifest says, in one sentence."""


class OtherEnvironmentError(Exception):
    """The environment is not the one that was asked for, in one sentence."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk: its directory, its manifest, and the digest of the manifest's inputs."""

    directory: Path
    inputs: Mapping[str, Any]
    nonce: str
    digest: str


def read_bundle(directory: Path, expected: str = "") -> Bundle:
    """Read a manifest and hold every file it lists against its digest.

    Args:
        directory: the bundle's.
        expected: digest of the inputs that were frozen; "" accepts any.

    Raises:
        BundleError: something is missing, changed or malformed.
    """
    try:
        manifest = json.loads((directory / "manifest.json").read_bytes())
        inputs = manifest["inputs"]
        for name in ("domain", "runs", "rungs", "budget", "files"):
            inputs[name]
        nonce = str(manifest["envelope"]["nonce"])
        names = [run["name"] for run in inputs["runs"]]
    except OSError as error:
        raise BundleError(f"{directory / 'manifest.json'}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{directory / 'manifest.json'} is not a manifest: {type(error).__name__} {error}") from None
    for name in names:
        if not isinstance(name, str) or not _RUN_NAME.fullmatch(name) or name in _TAKEN or names.count(name) > 1:
            taken = ", ".join(_TAKEN)
            raise BundleError(f"a run can't be named {name!r}: names are unique, of a-z, 0-9 and -, and not {taken}")
    for path, sha256 in inputs["files"].items():
        _check_file(directory, path, sha256)
    digest = _digest(inputs)
    if expected not in ("", digest):
        raise BundleError(f"the manifest is not the one that was frozen: digest {digest}, expected {expected}")
    return Bundle(directory, inputs, nonce, digest)


def _check_file(directory: Path, path: str, sha256: str) -> None:
    try:
        content = (directory / path).read_bytes()
    except OSError as error:
        raise BundleError(f"{directory / path}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{directory / path} is not what the manifest lists; bring the bundle again")


def _digest(data: Any) -> str:
    """SHA-256 of canonical JSON (RFC 8785), for data without fractions."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def environment() -> dict[str, Any]:
    """What trained bytes depend on beside the bundle. Touches the accelerator, so never before a fork."""
    import numpy
    import torch

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "platform": f"{sys.platform}-{platform.machine()}",
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "deterministic": ("off", "warn", "error")[torch.get_deterministic_debug_mode()],
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "compute": ".".join(map(str, torch.cuda.get_device_capability())) if cuda else "",
        "driver": _driver() if cuda else "",
        "cuda": str(torch.version.cuda) if cuda else "",
        "cudnn": str(torch.backends.cudnn.version()) if cuda else "",  # type: ignore[no-untyped-call]
    }


def _driver() -> str:
    """Version of the accelerator's driver, as its kernel module says it; without starting a process to ask."""
    try:
        described = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        described = ""
    found = re.search(r"Kernel Module\D*(\d+(?:\.\d+)+)", described)
    return found[1] if found else "unknown"


def fingerprint(environment: Mapping[str, Any]) -> str:
    """Digest of an environment: equal ones train equal bytes."""
    return _digest(environment)


def _processor() -> str:
    """Name of the processor, without starting a process to ask."""
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        described = ""
    found = re.search(r"^model name\s*: (.+)$", described, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def record(run: Mapping[str, Any], outcome: Mapping[str, Any], weights: bytes) -> dict[str, Any]:
    """What `results.json` says of one run: who it was, and what it came to."""
    identity = {name: run[name] for name in ("name", "arm", "pair", "spec", "seed")}
    digest = hashlib.sha256(weights).hexdigest() if weights else ""
    return {**identity, **outcome, "weights": digest, "weights_bytes": len(weights)}


def keep(out: Path, bundle: Bundle, environment: Mapping[str, Any], record: Mapping[str, Any], weights: bytes) -> None:
    """Write down a run that ended: its weights first, if it has any, then the record that vouches for them."""
    if weights:
        write_whole(out / f"{record['name']}.safetensors", weights)
    kept = {"manifest": bundle.digest, "fingerprint": fingerprint(environment), "record": record}
    write_whole(out / f"{record['name']}.json", _to_bytes(kept))


def kept(out: Path, bundle: Bundle, environment: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The record of a run that ended before: for this manifest, in this environment, with its weights intact."""
    try:
        found = json.loads((out / f"{name}.json").read_bytes())
        record: dict[str, Any] = found["record"]
        has_weights = record["status"] == "finished"
        weights = hashlib.sha256((out / f"{name}.safetensors").read_bytes()).hexdigest() if has_weights else ""
        same = found["manifest"] == bundle.digest and found["fingerprint"] == fingerprint(environment)
        intact = record["name"] == name and record["weights"] == weights
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if same and intact else None


def keep_rungs(
    out: Path,
    bundle: Bundle,
    environment: Mapping[str, Any],
    rungs: Sequence[Mapping[str, Any]],
    ended: Sequence[Mapping[str, Any]],
) -> None:
    """Write down what was decided at rungs, and the records of the children that had ended by then."""
    kept = {"manifest": bundle.digest, "fingerprint": fingerprint(environment), "rungs": rungs, "ended": ended}
    write_whole(out / "rungs.json", _to_bytes(kept))


def kept_rungs(
    out: Path, bundle: Bundle, environment: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The decisions and the records, by run, that were written down before; none when they are of something else."""
    try:
        found = json.loads((out / "rungs.json").read_bytes())
        same = found["manifest"] == bundle.digest and found["fingerprint"] == fingerprint(environment)
        rungs, ended = found["rungs"], {record["name"]: record for record in found["ended"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [], {}
    return (rungs, ended) if same else ([], {})


def write_results(
    out: Path,
    bundle: Bundle,
    environment: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    rungs: Sequence[Mapping[str, Any]],
    isolation: str,
    timing: Mapping[str, Any],
) -> None:
    """Write `results.json`, runs in the manifest's order."""
    results = {
        "schema_version": SCHEMA_VERSION,
        "manifest": bundle.digest,
        "nonce": bundle.nonce,
        "runs": records,
        "rungs": rungs,
        "environment": environment,
        "fingerprint": fingerprint(environment),
        "isolation": isolation,
        "timing": timing,
    }
    write_whole(out / "results.json", _to_bytes(results))


def remove_parts(out: Path) -> None:
    """Remove what a killed trainer may have left half-written."""
    for part in out.glob(".*.part"):
        part.unlink(missing_ok=True)


def _to_bytes(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves its old content or its new one; a failure leaves the old."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
