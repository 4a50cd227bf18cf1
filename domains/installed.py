"""Data that comes inside pinned, hash-locked packages.

Takes a corpus whose source is an installed distribution, gives the directory of its package. Never imports that
package: a search for its place costs milliseconds where the import of scikit-learn's data sets costs seconds.
"""

from __future__ import annotations

from importlib import metadata, util
from pathlib import Path

from aams.errors import failure
from domains.base import Corpus


def package_directory(corpus: Corpus, module: str) -> Path:
    """Find an installed package at the version that the corpus pins.

    Args:
        corpus: `source` is the distribution's name, `revision` its version.
        module: the package's import name.

    Raises:
        AamsError: it is missing, or another version.
    """
    advice = f"install {corpus.source}=={corpus.revision}, as the lock file says"
    spec = util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise failure(f"corpus {corpus.id} needs the package {corpus.source}", "nothing of that name", advice)
    version = metadata.version(corpus.source)
    if version != corpus.revision:
        raise failure(f"corpus {corpus.id} needs {corpus.source} {corpus.revision}", version, advice)
    return Path(spec.submodule_search_locations[0])
