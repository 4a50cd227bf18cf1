"""Kernels: pushed, asked about, listed, deleted; their outputs and logs; the week's quota.

Names of fields are those of `kagglesdk/kernels/types/kernels_api_service.py`. What a rule comes from stands beside it;
"we suppose" marks what nobody has written down.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from .datasets import usable, walk
from .records import WAITING, Json, Kernel, Session
from .site import MAX_SESSION_S, Call, RefusalError, Site, page

SHAPES = ("", "NvidiaTeslaT4", "NvidiaTeslaP100", "Tpu1VmV38")
DENIED = "Permission 'kernels.get' was denied"
LANGUAGES = {"python": ("script", "notebook")}


def save_kernel(call: Call) -> Json:
    """A push: a new version, and a session that runs it at once. Most refusals are a 200 with `error` set.

    https://github.com/Kaggle/kaggle-cli/issues/185 has the words of the limit, and
    https://github.com/Kaggle/kaggle-cli/issues/433 a data set that is left out of a kernel that runs all the same.
    """
    site, body = call.site, call.body
    owner, _, wanted = str(call.field("slug")).partition("/")
    if owner != call.user:
        raise RefusalError(403, "Permission 'kernels.update' was denied")
    if body.get("kernelType") not in LANGUAGES.get(body.get("language", ""), ()):
        return _refused("Unknown language or kernel type")
    if body.get("machineShape", "") not in SHAPES:  # we suppose that it is refused, and the words
        return _refused("Invalid machine shape")
    gpu = bool(body.get("enableGpu")) or str(body.get("machineShape", "")).startswith("Nvidia")
    kind, limit = "GPU" if gpu else "CPU", site.limits[gpu]
    if site.counted(gpu) >= limit:
        return _refused(f"Maximum batch {kind} session count of {limit} reached.")
    if gpu and site.used_now_s() >= site.weekly_gpu_s:  # we suppose the words
        return _refused("Your weekly GPU quota is used up.")
    kernel = _kernel_to_save(site, owner, wanted, str(body.get("newTitle") or wanted))
    sources = {source: usable(site, call.user, source) for source in body.get("datasetDataSources") or []}
    found = {source: dataset for source, dataset in sources.items() if dataset}
    session = _add_session(site, kernel, {**body, "datasetDataSources": list(found)}, gpu)
    if site.runner:
        site.runner.start(session, {_mount(site, each.ref): each.versions[-1].folder for each in found.values()})
    return {
        "ref": f"/{kernel.ref}",
        "url": f"https://www.kaggle.com/code/{kernel.ref}",
        "versionNumber": session.version,
        "kernelId": kernel.id,
        "error": "",
        "invalidTags": [],
        "invalidDatasetSources": [source for source, dataset in sources.items() if dataset is None],
        "invalidCompetitionSources": body.get("competitionDataSources") or [],
        "invalidKernelSources": body.get("kernelDataSources") or [],
        "invalidModelSources": body.get("modelDataSources") or [],
    }


def _refused(error: str) -> Json:
    return {"ref": "", "url": "", "versionNumber": 0, "error": error}


def _kernel_to_save(site: Site, owner: str, wanted: str, title: str) -> Kernel:
    """The kernel that a push means; a new one gets its slug from its title: `ApiSaveKernelRequest.slug`."""
    if f"{owner}/{wanted}" in site.kernels:
        return site.kernels[f"{owner}/{wanted}"]
    ref = f"{owner}/{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}"
    return site.kernels.setdefault(ref, Kernel(site.next_id(), ref, title))


def _add_session(site: Site, kernel: Kernel, request: Json, gpu: bool) -> Session:
    number = len(kernel.sessions) + 1
    folder = site.new_folder("kernels", kernel.ref)
    course = site.courses.pop(0) if site.courses else "runs"
    session = Session(site.next_id(), number, request, folder, gpu, course, token=secrets.token_hex(16))
    session.working.mkdir(parents=True)
    kernel.sessions.append(session)
    return session


def _mount(site: Site, ref: str) -> str:
    """Where a data set lies: by slug alone, or below its owner's name since 2026, as people's kernels found.

    https://github.com/helmet-png/m45-imf-analysis/pull/18
    """
    return f"datasets/{ref}" if site.mounts == "by owner" else ref.split("/")[1]


def get_kernel(call: Call) -> Json:
    """Sources carry a prefix here that a push does not want: https://github.com/Kaggle/kaggle-cli/issues/433"""
    kernel, session = find(call)
    asked = session.request
    metadata = {
        "id": kernel.id,
        "ref": kernel.ref,
        "title": kernel.title,
        "author": kernel.ref.split("/")[0],
        "slug": kernel.ref.split("/")[1],
        "language": asked["language"],
        "kernelType": asked["kernelType"],
        "isPrivate": asked.get("isPrivate", True),
        "enableGpu": session.gpu,
        "enableInternet": asked.get("enableInternet", True),
        "datasetDataSources": [f"datasets/{source}" for source in asked["datasetDataSources"]],
        "currentVersionNumber": kernel.last.version,
        "machineShape": asked.get("machineShape", ""),
    }
    blob = {name: asked.get(name) for name in ("language", "kernelType", "slug")}
    return {"metadata": metadata, "blob": {**blob, "source": asked.get("text", "")}}


def get_status(call: Call) -> Json:
    """No id of the session is in it: https://github.com/Kaggle/kaggle-cli/issues/1169"""
    _, session = find(call)
    return {"status": session.status, "failureMessage": session.failure or None}


def list_output(call: Call) -> Json:
    """Files by addresses that need no credential, as the client fetches them without any: `kernels_output`.

    Nothing is there before the session has ended, we suppose.
    """
    _, session = find(call)
    if session.status in WAITING:
        return {"files": [], "log": "", "nextPageToken": ""}
    names = [path.relative_to(session.working).as_posix() for path in walk(session.working)]
    place = f"{call.site.url}/files/{session.id}/{session.token}"
    size, start = int(call.body.get("pageSize") or 20), int(call.body.get("pageToken") or 0)
    shown, following = page([{"fileName": name, "url": f"{place}/{quote(name)}"} for name in names], size, start)
    return {"files": shown, "log": json.dumps(session.log), "nextPageToken": following}


def output_file(site: Site, path: str) -> Path | None:
    """The file at an address of `list_output`."""
    number, token, name = path.split("/", 2)
    sessions = [session for kernel in site.kernels.values() for session in kernel.sessions]
    session = next((each for each in sessions if str(each.id) == number and each.token == token), None)
    known = {each.relative_to(session.working).as_posix() for each in walk(session.working)} if session else set()
    return session.working / name if session and name in known else None


def list_kernels(call: Call) -> Json:
    """One's own kernels, those that ran last first; `group` PROFILE is what the client sends for `mine`."""
    mine = [kernel for kernel in call.site.kernels.values() if kernel.ref.startswith(f"{call.user}/")]
    items = [
        {
            "id": kernel.id,
            "ref": kernel.ref,
            "title": kernel.title,
            "author": call.user,
            "slug": kernel.ref.split("/")[1],
            "isPrivate": True,
            "lastRunTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        for kernel in sorted(mine, key=lambda each: -each.last.id)
    ]
    size = int(call.body.get("pageSize") or 20)
    start = int(call.body.get("pageToken") or (int(call.body.get("page") or 1) - 1) * size)
    shown, following = page(items, size, start)
    return {"kernels": shown, "nextPageToken": following}


def delete_kernel(call: Call) -> Json:
    """All versions go; what still runs is ended, and may count for a while.

    https://github.com/Kaggle/kaggle-cli/issues/937
    """
    kernel, _ = find(call)
    del call.site.kernels[kernel.ref]
    for session in kernel.sessions:
        call.site.gone.append(session)
        if call.site.runner:
            call.site.runner.stop(session)
    return {}


def cancel_session(call: Call) -> Json:
    """By the session's id, which no call gives: https://github.com/Kaggle/kaggle-cli/pull/1174"""
    wanted = call.field("kernelSessionId")
    for kernel in call.site.kernels.values():
        for session in kernel.sessions:
            if session.id == wanted and kernel.ref.startswith(f"{call.user}/"):
                if call.site.runner:
                    call.site.runner.stop(session)
                return {}
    return {"errorMessage": "Kernel session not found"}


def get_quota(call: Call) -> Json:
    """Durations are seconds with an s: `TimeDeltaSerializer` of `kagglesdk/kaggle_object.py`."""
    site = call.site
    return {
        "quotaRefreshTime": (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "gpuQuota": _quota(site.used_now_s(), site.weekly_gpu_s),
        "tpuQuota": _quota(0, 20 * 3600),
    }


def _quota(used_s: float, allowed_s: float) -> Json:
    allowed = {"totalTimeAllowed": f"{allowed_s:.0f}s", "minimumTimeAllowed": f"{allowed_s:.0f}s"}
    return {"timeUsed": f"{used_s:.3f}s", "timeReserved": "0s", "hasEverRun": used_s > 0, **allowed}


def find(call: Call) -> tuple[Kernel, Session]:
    """A kernel of one's own, and one of its versions, the last one if none is named.

    One that is missing is denied like one that is private: `kernels_status` of the client.
    """
    kernel = call.site.kernels.get(f"{call.field('userName')}/{call.field('kernelSlug')}")
    if kernel is None or call.body["userName"] != call.user:
        raise RefusalError(403, DENIED)
    label = re.sub(r"\D", "", str(call.body.get("versionLabel") or "")) or str(kernel.last.version)
    if not 1 <= int(label) <= len(kernel.sessions):
        raise RefusalError(404, "Version not found")
    return kernel, kernel.sessions[int(label) - 1]


def time_limit_s(request: Mapping[str, object]) -> float:
    """`ApiSaveKernelRequest.session_timeout_seconds`, which must be lower than the global limit."""
    asked = request.get("sessionTimeoutSeconds")
    return min(float(str(asked)) if asked else MAX_SESSION_S, MAX_SESSION_S)


SERVICE = "kernels.KernelsApiService"
CALLS = {
    f"{SERVICE}/SaveKernel": save_kernel,
    f"{SERVICE}/GetKernel": get_kernel,
    f"{SERVICE}/GetKernelSessionStatus": get_status,
    f"{SERVICE}/ListKernelSessionOutput": list_output,
    f"{SERVICE}/ListKernels": list_kernels,
    f"{SERVICE}/DeleteKernel": delete_kernel,
    f"{SERVICE}/CancelKernelSession": cancel_session,
    f"{SERVICE}/GetAcceleratorQuotaStatistics": get_quota,
}
