"""The site's books: what it knows, in `site.json` in its folder, so that a site that was killed goes on where it was.

They are written whole after every call and when a session ends. What tests asked for (faults, courses, limits) is no
part of them, and what is sent to a session's log while it runs is in them when it has ended.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .records import WAITING, Blob, Dataset, DatasetVersion, Json, Kernel, Session
from .site import Site

NAME = "site.json"
IDLE = ("stuck", "queued")
"""Courses of sessions that nothing runs."""


def write(site: Site) -> None:
    """Write down what the site knows, if that has changed. Its lock is held."""
    known = {
        "url": site.url,
        "ids": site.ids,
        "keys": site.keys,
        "tokens": site.tokens,
        "used_gpu_s": site.used_gpu_s,
        "blobs": {token: asdict(blob) for token, blob in site.blobs.items()},
        "datasets": [asdict(dataset) for dataset in site.datasets.values()],
        "kernels": [asdict(kernel) for kernel in site.kernels.values()],
        "gone": [asdict(session) for session in site.gone],
    }
    content = json.dumps(known, default=str)
    if content != site.written:
        part = site.folder / f".{NAME}.part"
        part.write_text(content, encoding="utf-8")
        part.rename(site.folder / NAME)
        site.written = content


def read(site: Site) -> None:
    """Take up what another site has left in the folder. What ran there ended with it; whose machine is gone, failed.

    We suppose the status and the words.
    """
    place = site.folder / NAME
    if not place.exists():
        return
    known = json.loads(place.read_text(encoding="utf-8"))
    site.url, site.ids, site.used_gpu_s = known["url"], known["ids"], known["used_gpu_s"]
    site.keys, site.tokens = known["keys"], known["tokens"]
    site.blobs = {token: Blob(**{**blob, "place": Path(blob["place"])}) for token, blob in known["blobs"].items()}
    site.datasets = {each["ref"]: _dataset(each) for each in known["datasets"]}
    site.kernels = {each["ref"]: _kernel(each) for each in known["kernels"]}
    site.gone = [_session(each) for each in known["gone"]]
    for session in [session for kernel in site.kernels.values() for session in kernel.sessions] + site.gone:
        if session.status == "CANCEL_REQUESTED":
            site.end(session, "CANCEL_ACKNOWLEDGED")
        elif session.status in WAITING and session.course not in IDLE:
            site.end(session, "ERROR", "The machine of the session is gone")


def _dataset(known: Json) -> Dataset:
    versions = [DatasetVersion(**{**each, "folder": Path(each["folder"])}) for each in known["versions"]]
    return Dataset(**{**known, "versions": versions})


def _kernel(known: Json) -> Kernel:
    return Kernel(**{**known, "sessions": [_session(each) for each in known["sessions"]]})


def _session(known: Json) -> Session:
    return Session(**{**known, "folder": Path(known["folder"])})
