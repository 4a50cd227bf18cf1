"""Editing a person's YAML: comments stay, only the changed lines change, and the text says what was asked."""

from __future__ import annotations

import copy
import difflib
import random
from pathlib import Path

import pytest

from aams.strict import read_yaml
from compiler import edit, spec

ROOT = Path(__file__).parents[2]

WRITTEN = """\
# yaml-language-server: $schema=../schema.json
schema_version: 1
domain: language   # bytes in, bytes out

# my favourite
model:
   width:   64
   context: 64

   position: {op: rope}   # rotary
   blocks:
   - {mixer: {op: attention, heads: 4}, channel: {op: mlp}}   # first
   # the deep part
   - repeat: 2
     mixer:
        op: attention
        heads: 2      # few
     channel: {op: gated-mlp, ratio: 2.5}
training:
   optimizer: {op: adamw, lr: 0.003}
   batch_tokens: 512
"""


def changed_lines(before, after):
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def tree_of(text):
    return read_yaml(text.encode(), "text").data


def test_an_edit_touches_only_the_changed_line_and_keeps_its_comment():
    tree = copy.deepcopy(tree_of(WRITTEN))
    tree["model"]["blocks"][1]["mixer"]["heads"] = 8
    after = edit.edit(WRITTEN, tree)
    assert tree_of(after) == tree
    assert changed_lines(WRITTEN, after) == ["-         heads: 2      # few", "+         heads: 8      # few"]


def test_an_edit_that_changes_nothing_changes_nothing():
    assert edit.edit(WRITTEN, tree_of(WRITTEN)) == WRITTEN


def test_a_new_block_is_one_new_line():
    tree = copy.deepcopy(tree_of(WRITTEN))
    tree["model"]["blocks"].insert(1, {"mixer": {"op": "attention", "heads": 1}, "channel": {"op": "mlp"}})
    after = edit.edit(WRITTEN, tree)
    assert tree_of(after) == tree
    assert "# the deep part" in after and "# first" in after
    assert [line[0] for line in changed_lines(WRITTEN, after)] == ["+"]


def test_a_deleted_block_takes_only_its_own_lines():
    tree = copy.deepcopy(tree_of(WRITTEN))
    del tree["model"]["blocks"][0]
    after = edit.edit(WRITTEN, tree)
    assert tree_of(after) == tree
    assert "# my favourite" in after and "heads: 2      # few" in after


def test_numbers_that_other_yaml_readers_take_for_text_are_written_so_that_they_read_back():
    tree = copy.deepcopy(tree_of(WRITTEN))
    for value in (1e-05, 0.00042, 1.0, 3):
        tree["training"]["optimizer"]["lr"] = value
        assert tree_of(edit.edit(WRITTEN, tree)) == tree
        assert tree_of(edit.fresh(tree)) == tree


@pytest.mark.parametrize("domain", ["language", "vision", "hybrid"])
def test_a_fresh_file_reads_back_as_the_same_spec(domain):
    one = spec.read(ROOT / "domains" / domain / "baseline.yaml")
    text = edit.fresh(one.tree, "schema.json")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert spec.parse(text.encode(), "fresh") == one


@pytest.mark.parametrize("seed", range(20))
def test_any_removal_or_repetition_of_blocks_reads_back(seed):
    rng = random.Random(seed)
    tree = copy.deepcopy(tree_of(WRITTEN))
    blocks = tree["model"]["blocks"]
    for _ in range(rng.randint(1, 4)):
        block = copy.deepcopy(rng.choice(blocks))
        block["mixer"]["heads"] = rng.choice((1, 2, 4, 8))
        blocks.insert(rng.randrange(len(blocks) + 1), block)
        if len(blocks) > 1 and rng.random() < 0.5:
            del blocks[rng.randrange(len(blocks))]
    after = edit.edit(WRITTEN, tree)
    assert tree_of(after) == tree
    assert after.splitlines()[0] == WRITTEN.splitlines()[0]
