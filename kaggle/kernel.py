"""Trains a bundle in a Kaggle session: the same words in every kernel, after a cell that sets PARAMETERS.

Takes the bundle from the session's data set and gives /kaggle/working/results.zip, or fails and gives nothing. It needs
the standard library alone, holds no secret and asks nobody; the digests in PARAMETERS bind what it runs.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

INPUT = Path("/kaggle/input")
RESULTS = Path("/kaggle/working/results.zip")
MAX_BYTES = 512 * 1024 * 1024
EPOCH = (1980, 1, 1, 0, 0, 0)
OF_A_BUNDLE = re.compile(r"manifest\.json|(data|models|specs|trainer)/[A-Za-z0-9_][A-Za-z0-9_.-]*")
OF_RESULTS = re.compile(r"results\.json|(child|control|root)-[0-9]{1,4}\.safetensors")


def read(slug, name, digest):
    """The archive's bytes. Kaggle has mounted data sets by slug, and by owner and slug."""
    places = [INPUT / slug / name, *INPUT.glob(f"datasets/*/{slug}/{name}")]
    found = [place for place in places if place.is_file()]
    if not found:
        raise RuntimeError(f"no {name} in the data set {slug}; there is {sorted(map(str, INPUT.rglob('*')))[:20]}")
    if found[0].stat().st_size > MAX_BYTES:
        raise RuntimeError(f"{found[0]} is larger than {MAX_BYTES} bytes")
    content = found[0].read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise RuntimeError(f"{found[0]} is not the bundle that was sent")
    return content


def unpack(content, folder):
    """Lay members with expected names out below a new folder; nothing is decompressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if len({info.filename for info in infos}) != len(infos) or sum(info.file_size for info in infos) > MAX_BYTES:
            raise RuntimeError("the bundle names a member twice, or is too large")
        for info in infos:
            if not OF_A_BUNDLE.fullmatch(info.filename) or info.compress_type != zipfile.ZIP_STORED:
                raise RuntimeError(f"the bundle has a member that is none of its own: {info.filename!a}")
            place = folder / info.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, place.open("xb") as target:
                shutil.copyfileobj(source, target)


def train(bundle, out, parameters):
    """Run the bundle's own trainer, with a bare environment, and print what it says."""
    argv = [sys.executable, "-m", "trainer", str(bundle), str(out)]
    argv += ["--manifest-digest", parameters["manifest"], "--isolation", parameters["isolation"]]
    argv += ["--workers", str(parameters["workers"])]
    environment = {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "TMPDIR": str(out),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(bundle),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    passed_on = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
    environment.update({name: os.environ[name] for name in passed_on if name in os.environ})
    piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(argv, env=environment, cwd=out, **piped) as process:
        for line in process.stdout:
            print(line.decode("ascii", "backslashreplace"), end="", flush=True)
    if process.returncode:
        raise RuntimeError(f"the trainer ended with exit status {process.returncode}")


def pack(out):
    """Write results and weights as one archive, which is whole when it is there."""
    names = sorted(path.name for path in out.iterdir() if OF_RESULTS.fullmatch(path.name))
    if "results.json" not in names:
        raise RuntimeError("the trainer left no results")
    part = RESULTS.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            with (out / name).open("rb") as source, archive.open(zipfile.ZipInfo(name, EPOCH), "w") as target:
                shutil.copyfileobj(source, target)
    part.replace(RESULTS)


def main(parameters):
    """Train what PARAMETERS name."""
    content = read(parameters["data"], parameters["archive"], parameters["sha256"])
    with tempfile.TemporaryDirectory(prefix="aams-") as place:
        bundle, out = Path(place, "bundle"), Path(place, "out")
        out.mkdir()
        unpack(content, bundle)
        train(bundle, out, parameters)
        pack(out)


main(PARAMETERS)  # noqa: F821 the cell before this one sets it
