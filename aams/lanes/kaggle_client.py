"""The door to Kaggle: one request to its client, in a process that holds Kaggle's credential and nothing else.

Takes one JSON object on stdin, gives one JSON line on stdout: an answer, or `{"error": {"kind", "said"}}`, the kind one
of `kaggle_account.KINDS`. Files come into the folder that the request names, and nowhere else. It never prints the
credential, and never runs or reads what it brings.

The client's own ways are not good enough alone, which is why this is more than a call of it:

- it has no time limits: every HTTP request gets one, and the whole errand has `deadline_s`;
- it repeats what was carried out already when an answer is lost: here it is looked first whether that is so;
- it reports as success what is none: `error`, `invalid_dataset_sources`, a file that was not uploaded;
- it guesses at statuses that it does not know, or breaks: here they are read as sent, and the unknown is "unknown";
- it writes outputs wherever their names point, whatever their size: here by exact name, within a limit.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aams.lanes.kaggle_account import Account, Failed, safe
from aams.lanes.kaggle_kernel import SLUG

STATUSES = {
    "QUEUED": "queued",
    "RUNNING": "running",
    "COMPLETE": "complete",
    "ERROR": "error",
    "CANCEL_REQUESTED": "cancelling",
    "CANCEL_ACKNOWLEDGED": "cancelled",
    "NEW_SCRIPT": "new",
}
"""Kaggle's names, `KernelWorkerStatus`, and ours; beside them there are "missing" and "unknown"."""
GOES_ON = ("queued", "running", "cancelling", "unknown")
"""Statuses of a session that may still use quota."""

POLL_S = 1.0
MEMORY_BYTES = 4 * 2**30
MAX_KERNELS = 200
MAX_PAGES = 50
PAGE = 100
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
TOO_MANY = re.compile(r"session count of \d+ reached")
Request = Mapping[str, Any]


class Late(BaseException):
    """The deadline has come; no `except Exception` of the client's swallows it."""


def main() -> int:
    """Do one errand."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what the client prints is no answer
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        request = _read(sys.stdin.buffer.read(1 << 20))
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, request["deadline_s"])
        answer = REQUESTS[request["do"]][0](Account(time.monotonic() + request["deadline_s"]), request)
    except Failed as failure:
        answer = _error(failure.kind, str(failure))
    except Late:
        answer = _error("late", "the deadline came first")
    except MemoryError:
        answer = _error("large", "an answer larger than the memory")
    except (Exception, SystemExit) as error:
        answer = _error("broken", f"{type(error).__name__}: {error}")
    signal.setitimer(signal.ITIMER_REAL, 0)
    answers.write(json.dumps(answer) + "\n")
    answers.close()
    return 0


def _ring(number: int, frame: object) -> None:
    raise Late


def _error(kind: str, said: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "said": safe(said)}}


def _read(content: bytes) -> Request:
    """Read a request and see that it is one of `REQUESTS`, with fields of the right kinds and nothing else."""
    try:
        request: Request = json.loads(content)
        fields = {"do": str, "deadline_s": int, **REQUESTS[request["do"]][1]}
        is_right = {name: type(value) for name, value in request.items()} == fields
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failed("invalid", "no request that is known here") from None
    if not is_right or request["deadline_s"] < 1:
        raise Failed("invalid", f"a {request['do']} has {', '.join(fields)}, each of its kind")
    if not SLUG.fullmatch(request.get("slug", "none")):
        raise Failed("invalid", "no slug")
    return request


def quota(account: Account, request: Request) -> dict[str, Any]:
    """Whose the credential is, and the week's GPU seconds."""
    found = account.repeat(account.api.quota_view)
    gpu, refresh = found.gpu_quota, found.quota_refresh_time
    if gpu is None or gpu.total_time_allowed is None:
        return {"user": account.user, "gpu": None}
    times = {"used_s": gpu.time_used, "reserved_s": gpu.time_reserved, "allowed_s": gpu.total_time_allowed}
    seconds = {name: value.total_seconds() if value else 0.0 for name, value in times.items()}
    return {"user": account.user, "gpu": {**seconds, "refresh": refresh.isoformat() if refresh else ""}}


def put_dataset(account: Account, request: Request) -> dict[str, Any]:
    """Make a private data set of a folder's files, or a new version of it, and wait until a kernel can have it."""
    api, slug, folder = account.api, request["slug"], str(request["folder"])
    _metadata(account, folder, api.DATASET_METADATA_FILE, slug)
    ref = f"{account.user}/{slug}"
    names = {path.name for path in Path(folder).iterdir()} - {api.DATASET_METADATA_FILE}

    def newest() -> int:
        field = "current_version_number"
        said = account.unless_missing(lambda: api.dataset_status(ref, format=f"json({field})"))
        return int(json.loads(said)[field] or 0) if said else 0

    before = newest()
    if before:
        _wait_until_ready(account, ref)

    def make() -> int:
        if before:
            answer = api.dataset_create_version(folder, version_notes="one more", quiet=True)
        else:
            answer = api.dataset_create_new(folder, public=False, quiet=True)
        if answer.error:
            raise Failed("refused", answer.error)
        return before + 1

    version = account.repeat(make, lambda: found if (found := newest()) > before else None)
    _wait_until_ready(account, ref)
    there = {file.name for file in account.repeat(lambda: api.dataset_list_files(ref, page_size=200)).files}
    if not names or names - there:
        raise Failed("refused", f"not all files of the data set were taken: {sorted(names - there)[:3]}")
    return {"ref": ref, "version": version}


def _wait_until_ready(account: Account, ref: str) -> None:
    while (status := account.repeat(lambda: account.api.dataset_status(ref))) != "ready":
        if status in ("failed", "deleted"):
            raise Failed("refused", f"the data set is {status}")
        time.sleep(POLL_S)


def push(account: Account, request: Request) -> dict[str, Any]:
    """Push the kernel of a folder, once; it runs at once, offline, with its data set, or that is an error."""
    api, slug, folder = account.api, request["slug"], str(request["folder"])
    metadata = _metadata(account, folder, api.KERNEL_METADATA_FILE, slug)
    if metadata.get("is_private") is not True or metadata.get("enable_internet") is not False:
        raise Failed("invalid", "a kernel is private and has no internet")
    wanted = metadata.get("dataset_sources") or []

    def known() -> dict[str, Any]:
        found = account.unless_missing(lambda: account.about("GetKernel", slug))
        return dict(found["metadata"]) if found else {}

    before = int(known().get("currentVersionNumber") or 0)

    def save() -> dict[str, Any]:
        answer = api.kernels_push(folder, timeout=str(request["limit_s"]))
        if answer.error:
            raise Failed("busy" if TOO_MANY.search(answer.error) else "refused", answer.error)
        if answer.ref.split("/")[-2:] != [account.user, slug]:
            raise Failed("refused", f"it was taken as {answer.ref}")
        return {"version": answer.version_number, "dropped": list(answer.invalid_dataset_sources)}

    def saved() -> dict[str, Any] | None:
        found = known()
        there = {"/".join(str(source).split("/")[-2:]) for source in found.get("datasetDataSources") or []}
        version = int(found.get("currentVersionNumber") or 0)
        return {"version": version, "dropped": sorted(set(wanted) - there)} if version > before else None

    answer = account.repeat(save, saved)
    if answer["dropped"]:
        raise Failed("dropped", f"it runs without {', '.join(answer['dropped'])}")
    return {"ref": f"{account.user}/{slug}", "version": answer["version"]}


def _metadata(account: Account, folder: str, name: str, slug: str) -> dict[str, Any]:
    """A folder's metadata, whose id is the user's own."""
    try:
        metadata = json.loads(Path(folder, name).read_bytes())
    except (OSError, ValueError) as error:
        raise Failed("invalid", f"{name}: {error}") from None
    if not isinstance(metadata, dict) or metadata.get("id") != f"{account.user}/{slug}":
        raise Failed("invalid", f"{name} is not that of {account.user}/{slug}")
    return metadata


def versions(account: Account, request: Request) -> dict[str, Any]:
    """How often a kernel was pushed; 0 where there is none."""
    found = account.unless_missing(lambda: account.about("GetKernel", request["slug"]))
    return {"count": int(found["metadata"].get("currentVersionNumber") or 0) if found else 0}


def status(account: Account, request: Request) -> dict[str, Any]:
    """How a kernel's newest session stands."""
    return _standing(account, request["slug"])


def _standing(account: Account, slug: str) -> dict[str, Any]:
    found = account.unless_missing(lambda: account.about("GetKernelSessionStatus", slug))
    if found is None:
        return {"slug": slug, "status": "missing", "said": ""}
    # QUEUED is the enumeration's zero, which JSON may leave out.
    name = str(found.get("status", "QUEUED")).upper().removeprefix("KERNEL_WORKER_STATUS_")
    said = safe(str(found.get("failureMessage") or ""))
    return {"slug": slug, "status": STATUSES.get(name, "unknown"), "said": said}


def sessions(account: Account, request: Request) -> dict[str, Any]:
    """How one's own kernels stand, of those that ran last, whose slugs begin with a prefix."""
    slugs: list[str] = []
    for page in range(1, MAX_KERNELS // PAGE + 1):
        ask = functools.partial(account.api.kernels_list, mine=True, page=page, page_size=PAGE, sort_by="dateRun")
        slugs += [kernel.ref.split("/")[-1] for kernel in account.repeat(ask)]
        if len(slugs) < page * PAGE:
            break
    wanted = [slug for slug in slugs if slug.startswith(request["prefix"]) and SLUG.fullmatch(slug)]
    return {"sessions": [_standing(account, slug) for slug in wanted]}


def output(account: Account, request: Request) -> dict[str, Any]:
    """Bring outputs of exactly these names into a folder; what else is there is only counted."""
    names, left, folder = request["names"], request["max_bytes"], Path(request["folder"])
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
        raise Failed("invalid", "an output is asked for by a plain name")
    listed = _list_output(account, request["slug"])
    brought: dict[str, int] = {}
    for name in names:
        if name in listed:
            brought[name] = account.repeat(functools.partial(_fetch, listed[name], folder / name, left))
            left -= brought[name]
    missing = [name for name in names if name not in brought]
    return {"files": brought, "missing": missing, "others": len(listed) - len(brought)}


def _list_output(account: Account, slug: str) -> dict[str, str]:
    """Outputs by name, with their addresses."""
    listed: dict[str, str] = {}
    place: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        ask = functools.partial(account.about, "ListKernelSessionOutput", slug, page_size=PAGE, **place)
        found = account.repeat(ask)
        for file in found.get("files") or []:
            if file["fileName"] in listed:
                raise Failed("refused", "two outputs have one name")
            listed[file["fileName"]] = file["url"]
        place = {"page_token": found["nextPageToken"]} if found.get("nextPageToken") else {}
        if not place:
            return listed
    raise Failed("large", f"more than {MAX_PAGES * PAGE} outputs")


def _fetch(url: str, place: Path, max_bytes: int) -> int:
    """Bring one file, without the credential, whole or not at all; gives its size."""
    import requests

    if not url.startswith("https://") and os.environ.get("KAGGLE_API_ENVIRONMENT") != "LOCALHOST":
        raise Failed("refused", "an output's address is not https")
    part, size = place.with_name(f".{place.name}.part"), 0
    try:
        with requests.get(url, stream=True) as response, part.open("wb") as file:  # noqa: S113 see _limit_sockets
            response.raise_for_status()
            for piece in response.iter_content(1 << 16):
                size += len(piece)
                if size > max_bytes:
                    raise Failed("large", f"{place.name} is larger than {max_bytes} bytes")
                file.write(piece)
        part.rename(place)
    finally:
        part.unlink(missing_ok=True)
    return size


def logs(account: Account, request: Request) -> dict[str, Any]:
    """The end of a log. The log of a session that goes on is followed up to the deadline, which is no failure here."""
    said: list[str] = []

    def follow() -> bool:
        said.clear()
        for event in account.api.kernels_logs_stream(f"{account.user}/{request['slug']}"):
            said.append(str(event.get("data", "")))
            while len(said) > 1 and sum(map(len, said[1:])) > request["max_bytes"]:
                del said[0]
        return True

    try:
        whole = account.repeat(follow)
    except Late:
        whole = False
    return {"text": "".join(said)[-request["max_bytes"] :], "whole": whole}


def cancel(account: Account, request: Request) -> dict[str, Any]:
    """End a kernel's session, by deleting the kernel: Kaggle tells nobody the id by which a session is cancelled.

    https://github.com/Kaggle/kaggle-cli/pull/1174
    """
    return {"deleted": _delete(account, lambda: account.api.kernels_delete(f"{account.user}/{request['slug']}", True))}


def delete_kernel(account: Account, request: Request) -> dict[str, Any]:
    """Delete a kernel whose session is over."""
    if (found := _standing(account, request["slug"])["status"]) in GOES_ON:
        raise Failed("refused", f"its session is {found}: cancel it")
    return cancel(account, request)


def delete_dataset(account: Account, request: Request) -> dict[str, Any]:
    """Delete a data set with all its versions."""
    return {"deleted": _delete(account, lambda: account.api.dataset_delete(account.user, request["slug"], True))}


def _delete(account: Account, act: Callable[[], object]) -> bool:
    """Delete, and say whether there was something; what is missing is deleted already."""
    return account.unless_missing(lambda: (act(), True)) is not None


REQUESTS: Mapping[str, tuple[Callable[[Account, Request], dict[str, Any]], Mapping[str, type]]] = {
    "quota": (quota, {}),
    "put_dataset": (put_dataset, {"slug": str, "folder": str}),
    "push": (push, {"slug": str, "folder": str, "limit_s": int}),
    "versions": (versions, {"slug": str}),
    "status": (status, {"slug": str}),
    "sessions": (sessions, {"prefix": str}),
    "output": (output, {"slug": str, "names": list, "folder": str, "max_bytes": int}),
    "logs": (logs, {"slug": str, "max_bytes": int}),
    "cancel": (cancel, {"slug": str}),
    "delete_kernel": (delete_kernel, {"slug": str}),
    "delete_dataset": (delete_dataset, {"slug": str}),
}
"""What may be asked, with the fields of the request beside `do` and `deadline_s`."""


if __name__ == "__main__":
    sys.exit(main())
