"""What goes up to Kaggle: a kernel made of the constants in `kaggle/` and one cell of parameters, and a data set.

Takes digests, slugs and an archive, gives the two folders that Kaggle's client wants. Nothing of it is anybody's text:
a parameter is a digest, a slug, a number or one of a few words, or it is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aams.canonical import SHA256
from aams.confine import ISOLATIONS, Isolation
from aams.errors import failure

Kind = Literal["script", "notebook"]
Machine = Literal["", "NvidiaTeslaT4", "NvidiaTeslaP100"]
"""No accelerator, two T4 or one P100: `machine_shape` of `kagglesdk/kernels/types/kernels_api_service.py`."""

TEMPLATES = Path(__file__).parents[2] / "kaggle"
ARCHIVE = "bundle.bin"
"""The bundle's name in its data set. Kaggle would unpack a .zip, and its bytes could not be held against a digest."""
RESULTS = "results.zip"
"""What a kernel leaves: an archive as `aams.results_archive` reads it."""
CODE_FILES: dict[Kind, str] = {"script": "kernel.py", "notebook": "kernel.ipynb"}
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
SLUG_LENGTHS = range(6, 51)
"""Of a data set's slug and title, by Kaggle's client; a kernel's slug may be shorter."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What tells one kernel from another.

    Attributes:
        data: slug of the data set.
        sha256: of the archive in it.
        manifest: digest of the manifest's inputs.
        isolation: what the trainer is told that it is confined by.
        workers: runs at a time.
    """

    data: str
    sha256: str
    manifest: str
    isolation: Isolation = "none"
    workers: int = 2


def write_kernel(folder: Path, owner: str, slug: str, parameters: Parameters, kind: Kind, machine: Machine) -> None:
    """Write a kernel's code and metadata into a folder.

    Args:
        owner: whose kernel and data set it is.
        slug: of the kernel; its title is the same words, from which Kaggle makes the slug.

    Raises:
        AamsError: a parameter is not of its kind.
    """
    _check(parameters, kind, machine)
    metadata = {
        **_template("kernel-metadata.json"),
        "id": f"{_owner(owner)}/{_slug(slug)}",
        "title": slug.replace("-", " "),
        "code_file": CODE_FILES[kind],
        "kernel_type": kind,
        "enable_gpu": bool(machine),
        "dataset_sources": [f"{owner}/{parameters.data}"],
        **({"machine_shape": machine} if machine else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel-metadata.json").write_text(json.dumps(metadata, indent=1), encoding="ascii")
    (folder / CODE_FILES[kind]).write_text(_code(parameters, kind), encoding="ascii")


def write_dataset(folder: Path, owner: str, slug: str, archive: Path) -> None:
    """Lay a bundle and its metadata out in a folder, as a link where that works: it may be large."""
    metadata = {**_template("dataset-metadata.json"), "id": f"{_owner(owner)}/{_slug(slug)}", "title": slug}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset-metadata.json").write_text(json.dumps(metadata, indent=1), encoding="ascii")
    place = folder / ARCHIVE
    place.unlink(missing_ok=True)
    try:
        os.link(archive, place)
    except OSError:
        shutil.copyfile(archive, place)


def _code(parameters: Parameters, kind: Kind) -> str:
    """The parameters, as a literal that is JSON and Python alike, and the constant code."""
    cell = f"PARAMETERS = {json.dumps({'archive': ARCHIVE, **asdict(parameters)}, sort_keys=True)}\n"
    constant = (TEMPLATES / "kernel.py").read_text(encoding="ascii")
    if kind == "script":
        return cell + constant
    notebook = _template("notebook.ipynb")
    sources = {"parameters": cell.rstrip("\n"), "kernel": constant}
    for each in notebook["cells"]:
        each["source"] = sources.get(each["id"], each["source"])
    return json.dumps(notebook, indent=1) + "\n"


def _template(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((TEMPLATES / name).read_text(encoding="ascii"))
    return data


def _check(parameters: Parameters, kind: str, machine: str) -> None:
    _slug(parameters.data)
    for digest in (parameters.sha256, parameters.manifest):
        if not SHA256.fullmatch(digest):
            raise failure("is no SHA-256", ascii(digest)[1:-1][:80])
    known = (parameters.isolation in ISOLATIONS, kind in get_args(Kind), machine in get_args(Machine))
    if not all(known) or type(parameters.workers) is not int or parameters.workers < 1:
        raise failure("is not what a kernel can be made of", f"{parameters} {kind} {machine}"[:200])


def _slug(slug: str) -> str:
    if not SLUG.fullmatch(slug) or len(slug) not in SLUG_LENGTHS:
        raise failure("is no slug of 6 to 50 letters, digits and single hyphens", ascii(slug)[1:-1][:80])
    return slug


def _owner(owner: str) -> str:
    if not OWNER.fullmatch(owner):
        raise failure("is no name of a user", ascii(owner)[1:-1][:80])
    return owner
