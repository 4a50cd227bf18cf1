"""The strict reader of corpora.yaml, and finding a corpus on it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aams.errors import AamsError
from domains import DOMAINS, active_interface, find_corpus, load_corpora, vision
from domains.whitelist import read_corpora

Whitelist = Callable[[str, str, str], Path]


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_whitelist_holds_its_rules_and_pins_what_it_reads(domain: str) -> None:
    corpora = load_corpora(domain)
    assert corpora.active in {corpus.id for corpus in corpora.corpora}
    for corpus in corpora.corpora:
        assert corpus.licence
        assert corpus.digest or re.fullmatch(r"[0-9a-f]{40}", corpus.revision)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_active_corpus_needs_no_download(domain: str) -> None:
    assert not find_corpus(domain).loader.startswith("hub")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("licence: MIT", "licence: MIT\n    colour: red", r":18:5: corpora\[1\]: unknown key; got 'colour'"),
        ("    licence: MIT\n", "", r"key 'licence' is missing"),
        ("active: cluttered-digits", "active: cluttered-digit", r":4:9: active: no such corpus; got cluttered-digit"),
        ("loader: hub-images", "loader: hub-image", r"corpora\[1\]\.loader: no such loader; got hub-image; use one of"),
        ("id: mnist", "id: cluttered-digits", r"corpora\[1\]\.id: an id is given twice"),
        ("id: mnist", "id: ../mnist", r"corpora\[1\]\.id: must be lower-case words"),
        ("label: label}", "label: label, more: x}", r"corpora\[1\]\.options: hub-images takes exactly split, files"),
        ("train: 560", "train: 0", r"corpora\[0\]\.splits: every share"),
        ("train: 560", "train: many", r"corpora\[0\]\.splits\.train: must be an integer; got 'many'"),
        ("domain: vision", "domain: hybrid", r"corpora\[0\]\.interface\.domain: must be vision"),
        ("height: 20", "height: 20000", r"corpora\[0\]\.interface: every number"),
        ('revision: "77f3', 'revision: "main', r"corpora\[1\]\.digest: a corpus must be pinned"),
        ('digest: "09f6', 'digest: "09F6', r"corpora\[0\]\.digest: must be 64 lower-case"),
        ("digest_rule: file", "digest_rule: md5", r"digest_rule: must be one of file, contents; got 'md5'"),
        ("schema_version: 1", "schema_version: 2", r"schema_version: must be 1; got 2"),
        ("schema_version: 1", "schema_version: 1\nschema_version: 1", r"a key is given twice"),
        ("licence: MIT", "licence: !!python/name:os.system", r"tags are not allowed"),
    ],
)
def test_a_broken_whitelist_gives_one_error_with_its_place(whitelist: Whitelist, old: str, new: str, what: str) -> None:
    path = whitelist("vision", old, new)
    with pytest.raises(AamsError, match=what) as caught:
        read_corpora(path, vision)
    assert len(caught.value.problems) == 1
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: ", str(caught.value))


def test_an_unknown_corpus_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(AamsError, match=r"domains/vision/corpora\.yaml: no such corpus; got fashion-mist; try fashion"):
        find_corpus("vision", "fashion-mist")


def test_an_unknown_domain_is_answered_with_the_known_ones() -> None:
    with pytest.raises(AamsError, match="no such domain; got audio; use one of language, vision, hybrid"):
        load_corpora("audio")


def test_asking_for_an_interface_imports_no_numpy() -> None:
    code = "import sys, domains; domains.active_interface('vision'); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert active_interface("vision").classes == 10
