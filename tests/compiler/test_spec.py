"""The strict reader: every bad spec gets an error that says where, what, and what would do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aams.errors import AamsError, SpecError
from compiler import spec
from compiler.fields import Choice, Field, Group, Many, Slot
from compiler.identity import full, replaced
from compiler.skeletons import SKELETONS, grammar

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(SKELETONS)

GOOD = """\
schema_version: 1
domain: language
model:
  width: 64
  context: 64
  position: {op: rope}
  blocks:
    - {repeat: 2, mixer: {op: attention, heads: 4}, channel: {op: mlp, ratio: 4}}
    - mixer:
        op: causal-conv
        kernel: 4
      channel: {op: gated-mlp}
training: {optimizer: {op: adamw, lr: 1e-3}, batch_tokens: 256}
"""

BAD = {
    "heads that do not divide": (
        ("heads: 4", "heads: 6"),
        "s.yaml:8:49: model.blocks[0].mixer.heads: must divide width=64; got 6; try 4 or 8",
    ),
    "an odd head under rope": (
        ("heads: 4", "heads: 64"),
        "s.yaml:8:49: model.blocks[0].mixer.heads: rope needs an even head size, width=64 gives 1; "
        "got 64; use half as many",
    ),
    "key heads that do not divide": (
        ("heads: 4", "heads: 4, kv_heads: 3"),
        "s.yaml:8:62: model.blocks[0].mixer.kv_heads: must divide heads=4; got 3; use 1, or as many as heads",
    ),
    "a kernel beyond the context": (
        ("width: 64\n  context: 64", "width: 64\n  context: 16"),
        ("kernel: 4", "kernel: 17"),
        "s.yaml:11:17: model.blocks[1].mixer.kernel: must not be longer than the sequence, 16 tokens; "
        "got 17; use at most 16",
    ),
    "an op with a slip": (
        ("op: attention", "op: atention"),
        "s.yaml:8:31: model.blocks[0].mixer.op: unknown mixer; got 'atention'; did you mean attention?",
    ),
    "an op of another kind": (
        ("{op: gated-mlp}", "{op: rope}"),
        "s.yaml:12:21: model.blocks[1].channel.op: unknown channel; got 'rope'; one of mlp, gated-mlp",
    ),
    "a key with a slip": (
        ("heads: 4", "head: 4"),
        "s.yaml:8:48: model.blocks[0].mixer.head: unknown key for attention; did you mean heads?\n"
        "s.yaml:8:26: model.blocks[0].mixer.heads: is missing; add it: a whole number from 1 to 64",
    ),
    "a key of another op": (
        ("kernel: 4", "heads: 4"),
        "s.yaml:11:16: model.blocks[1].mixer.heads: unknown key for causal-conv; known here: kernel, gated",
    ),
    "a key at the top": (
        ("domain: language", "domain: language\nlicence: MIT"),
        "s.yaml:3:10: licence: unknown key; known here: schema_version, domain, model, training",
    ),
    "a number out of range": (
        ("width: 64", "width: 4096"),
        "s.yaml:4:10: model.width: must be a whole number from 16 to 2048, a multiple of 8; got 4096",
    ),
    "an odd width": (
        ("width: 64", "width: 60"),
        "s.yaml:4:10: model.width: must be a whole number from 16 to 2048, a multiple of 8; got 60",
    ),
    "a fraction for a whole number": (
        ("width: 64", "width: 64.0"),
        "s.yaml:4:10: model.width: must be a whole number from 16 to 2048, a multiple of 8; got 64.0",
    ),
    "truth for a number": (
        ("heads: 4", "heads: true"),
        "s.yaml:8:49: model.blocks[0].mixer.heads: must be a whole number from 1 to 64; got true",
    ),
    "text for a number": (
        ("ratio: 4", 'ratio: "4"'),
        "s.yaml:8:79: model.blocks[0].channel.ratio: must be a number from 0.25 to 8; got '4'",
    ),
    "a choice with a slip": (
        ("ratio: 4", "activation: relu"),
        "s.yaml:8:84: model.blocks[0].channel.activation: must be one of gelu, relu2, silu; "
        "got 'relu'; did you mean relu2?",
    ),
    "an op without a mapping": (
        ("{op: gated-mlp}", "gated-mlp"),
        "s.yaml:12:16: model.blocks[1].channel: must be {op: mlp | gated-mlp}; got 'gated-mlp'; write it as {op: name}",
    ),
    "a group that is a list": (
        ("training: {optimizer: {op: adamw, lr: 1e-3}, batch_tokens: 256}", "training: [1]"),
        "s.yaml:13:11: training: must be a mapping; got [1]; write its keys: "
        "optimizer, schedule, batch_tokens, clip, label_smoothing, precision",
    ),
    "something missing": (
        (", batch_tokens: 256", ""),
        "s.yaml:13:11: training.batch_tokens: is missing; add it: a whole number from 64 to 262144",
    ),
    "a batch that is no multiple": (
        ("batch_tokens: 256", "batch_tokens: 250"),
        "s.yaml:13:60: training.batch_tokens: must be a multiple of context=64; got 250; try 256",
    ),
    "a domain that is none": (
        ("domain: language", "domain: langauge"),
        "s.yaml:2:9: domain: must be one of language, vision, hybrid; got 'langauge'; did you mean language?",
    ),
    "another version": (
        ("schema_version: 1", "schema_version: 2"),
        "s.yaml:1:17: schema_version: must be 1; got 2",
    ),
    "a thousand million layers": (
        ("repeat: 2", "repeat: 1000000000"),
        "s.yaml:8:16: model.blocks[0].repeat: must be a whole number from 1 to 64; got 1000000000",
    ),
    "a value that two readers see differently": (
        ("op: rope", "op: no"),
        "s.yaml:6:18: two YAML readers could read this value differently; got no; "
        "write true or false, or a plain decimal number, or quote it",
    ),
    "a key given twice": (
        ("width: 64", "width: 64\n  width: 32"),
        "s.yaml:5:3: a key is given twice; got width; keep one of them",
    ),
    "an empty list": (
        (GOOD[GOOD.index("    - {repeat") : GOOD.index("training")], "    []\n"),
        "s.yaml:8:5: model.blocks: must be a list of 1 to 64 items; got 0 items",
    ),
}


def errors(content: bytes) -> str:
    with pytest.raises(AamsError) as caught:
        spec.parse(content, "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_says_where_what_and_what_would_do(case: tuple[Any, ...]) -> None:
    *changes, message = case
    text = GOOD
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    assert errors(text.encode()) == message


def test_reads_a_good_spec_as_written() -> None:
    accepted = spec.parse(GOOD.encode(), "s.yaml")
    assert accepted.domain == "language"
    assert accepted.tree["training"] == {"optimizer": {"op": "adamw", "lr": 0.001}, "batch_tokens": 256}
    assert "tied" not in accepted.tree["model"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "s.yaml: the file is empty; start from a baseline.yaml"),
        (b"[1, 2]", "s.yaml:1:1: a spec is a mapping; got [1, 2]; start from a baseline.yaml"),
        (b"{}", "s.yaml:1:1: domain: must be one of language, vision, hybrid; got nothing"),
        (b"\xff\xfe", "s.yaml: not UTF-8; got byte 0xff at offset 0"),
        (b"#" * 70_000, "s.yaml: larger than 65536 bytes; got 70000 bytes"),
        (b"domain: !evil {}", "s.yaml:1:9: tags are not allowed; got !evil; remove it"),
    ],
)
def test_refuses_what_is_no_spec_at_all(content: bytes, message: str) -> None:
    assert errors(content) == message


def test_refuses_files_that_are_none(tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(ROOT / "domains" / "language" / "baseline.yaml")
    cases = {tmp_path: "is a directory", link: "is a symbolic link", tmp_path / "none": "can't be read"}
    for path, what in cases.items():
        with pytest.raises(AamsError, match=what):
            spec.read(path)


def test_names_every_problem_at_once() -> None:
    text = GOOD.replace("width: 64", "width: 1").replace("kernel: 4", "kernel: 1").replace("lr: 1e-3", "lr: 7")
    assert [line.split(": ")[1] for line in errors(text.encode()).splitlines()] == [
        "model.width",
        "model.blocks[1].mixer.kernel",
        "training.optimizer.lr",
    ]


def test_more_layers_than_anybody_trains_are_refused_even_where_each_repeat_is_legal() -> None:
    block = {"repeat": 64, "mixer": {"op": "causal-conv"}, "channel": {"op": "mlp"}}
    tree = replaced(spec.parse(GOOD.encode(), "s.yaml").tree, ("model", "blocks"), [block] * 64)
    with pytest.raises(SpecError, match=r"^spec: model\.blocks: at most 256 blocks after repeats; got 4096;"):
        spec.from_tree(tree)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_full_form_of_a_spec_is_the_same_spec(domain: str) -> None:
    baseline = spec.read(ROOT / "domains" / domain / "baseline.yaml")
    assert spec.from_tree(json.loads(json.dumps(full(baseline.tree)))).id == baseline.id


def strings(fields: tuple[Field, ...], tree: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Path of every field that takes text, and of every mapping, in a full spec."""
    yield path, False
    for field in fields:
        at, value = (*path, field.name), tree[field.name]
        match field:
            case Choice():
                yield at, True
            case Slot():
                yield (*at, "op"), True
                yield at, False
            case Group():
                yield from strings(field.fields, value, at)
            case Many():
                for index, item in enumerate(value):
                    yield from strings(field.item.fields, item, (*at, index))


BASELINES = {domain: full(spec.read(ROOT / "domains" / domain / "baseline.yaml").tree) for domain in DOMAINS}
PLACES = [(domain, *place) for domain, tree in BASELINES.items() for place in strings(grammar(domain), tree)]
NASTY = (
    *("", "op", "None", "nan", "__class__", "__import__('os').system('true')", "../../etc/passwd", "$(id)", "`id`"),
    *(
        "attention\n",
        " mlp",
        "MLP",
        "{{ 7 * 7 }}",
        "'); --",
        "<script>",
        "\u202egelu",
        "gelu\x00",
        "\ud800",
        "a" * 9999,
    ),
)
HOSTILE = st.text() | st.sampled_from(NASTY)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), text=HOSTILE)
def test_no_text_but_what_is_listed_is_let_in(place: Any, text: str) -> None:
    domain, path, takes_text = place
    tree = BASELINES[domain]
    here = tree
    for step in path:
        here = here[step]
    if takes_text:
        changed = replaced(tree, path, text)
        known = text == here
    else:
        changed = replaced(tree, (*path, text), 1)
        known = text in here and here[text] == 1
    try:
        accepted = spec.from_tree(changed)
    except SpecError as error:
        assert error.problems
        return
    assert known or (takes_text and text.isascii() and text.replace("-", "").isalnum() and len(text) < 20)
    assert accepted.tree is changed


@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_spec_or_an_error(text: bytes) -> None:
    for content in (text, GOOD.encode().replace(b"rope", text), GOOD.encode()[: len(text)] + text):
        try:
            accepted = spec.parse(content, "s.yaml")
        except AamsError:
            continue
        assert accepted.domain in DOMAINS
