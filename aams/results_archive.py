"""What a trainer brought back, as one archive: results.json and weights, stored, named and nothing more.

Takes a folder of results, gives an archive; takes an archive that may be anybody's, gives a folder of regular files
whose names were expected. Nothing is decompressed, and what is inside is believed by nobody yet.
"""

from __future__ import annotations

import re
import shutil
import struct
import zipfile
from pathlib import Path

from aams.bundle import EPOCH, MAX_BYTES, check_end
from aams.errors import Problem, ResultError
from aams.files import open_regular
from evaluator.results import RESULTS_NAME

MEMBER = re.compile(r"(child|control|root)-[0-9]{1,4}\.safetensors")
MAX_MEMBERS = 4096


def pack_results(folder: Path, archive: Path) -> None:
    """Write an archive of a folder's results and weights.

    Raises:
        ResultError: there are no results in it.
    """
    if not (folder / RESULTS_NAME).is_file():
        raise ResultError(Problem("holds no results", RESULTS_NAME, "train the bundle to its end", str(folder)))
    names = sorted(path.name for path in folder.iterdir() if path.name == RESULTS_NAME or MEMBER.fullmatch(path.name))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for name in names:
            with open_regular(folder / name) as source, packed.open(zipfile.ZipInfo(name, EPOCH), "w") as member:
                shutil.copyfileobj(source, member)


def unpack_results(archive: Path, folder: Path) -> None:
    """Lay an archive's members out in a new folder.

    Raises:
        ResultError: it is no such archive.
    """
    try:
        with open_regular(archive) as stream:
            check_end(stream, archive)
            with zipfile.ZipFile(stream) as packed:
                infos = packed.infolist()
                names = {info.filename for info in infos}
                plain = all(info.compress_type == zipfile.ZIP_STORED and info.flag_bits & 1 == 0 for info in infos)
                if len(names) != len(infos) or len(infos) > MAX_MEMBERS or not plain:
                    raise zipfile.BadZipFile("a member is twice there, compressed or encrypted")
                strange = [name for name in names if name != RESULTS_NAME and not MEMBER.fullmatch(name)]
                if strange:
                    raise zipfile.BadZipFile(f"a member that is none of results: {ascii(strange[0])[1:-1][:80]}")
                if sum(info.file_size for info in infos) > MAX_BYTES:
                    raise zipfile.BadZipFile(f"more than {MAX_BYTES} bytes")
                folder.mkdir(parents=True)
                for info in infos:
                    with packed.open(info) as member, (folder / info.filename).open("xb") as target:
                        shutil.copyfileobj(member, target)
    except (zipfile.BadZipFile, struct.error, OSError, RuntimeError, ValueError, EOFError) as error:
        raise ResultError(Problem("is not a readable archive of results", str(error), file=archive.name)) from None
