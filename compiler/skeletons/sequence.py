"""A stack of residual blocks over a sequence: the trunk of language models, and the reader of hybrid ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aams.strict import Path
from compiler.fields import Group, Int, Many, Place, Slot, Tree
from compiler.skeletons.site import Misplaced, Site

MAX_DEPTH = 256

BLOCK = Group(
    "block",
    (
        Int("repeat", 1, 64, default=1, about="So many equal blocks in a row, each with its own weights."),
        Slot("mixer", "mixer", about="Mixes tokens."),
        Slot("channel", "channel", about="Mixes features of each token."),
        Slot("norm", "norm", default={"op": "rmsnorm"}),
    ),
)

TRUNK = (
    Int("width", 16, 2048, multiple=8, about="Features of a token."),
    Slot("position", "position", default={"op": "none"}),
    Many("blocks", BLOCK, 1, 64, about="From the first to the last; no ids, compared by alignment."),
)


def sites(trunk: Tree, path: Path, tokens: int, embedded: int) -> Iterator[Site]:
    """Every op of a full trunk that reads `tokens` tokens, `embedded` of them its own; 0 where nobody knows yet."""
    position = trunk["position"]
    place = Place(trunk["width"], tokens=tokens, position=position)
    yield Site((*path, "position"), "position", position, replace(place, tokens=embedded), 1)
    for index, block in enumerate(trunk["blocks"]):
        for part in ("norm", "mixer", "channel"):
            repeat = block["repeat"] * norms_per_block(block) if part == "norm" else block["repeat"]
            yield Site((*path, "blocks", index, part), part, block[part], place, repeat)


def last_norm(trunk: Tree, path: Path, tokens: int) -> Site:
    """The norm after the last block, of the same kind as inside it; `tokens` are what is read of the result."""
    last = len(trunk["blocks"]) - 1
    place = Place(trunk["width"], tokens=tokens)
    return Site((*path, "blocks", last, "norm"), "norm", trunk["blocks"][last]["norm"], place, 1)


def norms_per_block(block: Tree) -> int:
    """A parallel block shares one norm, others have one for each half."""
    return 1 if block["norm"]["placement"] == "parallel" else 2


def settle(trunk: Tree) -> Tree:
    """Rotary and ALiBi positions act inside attention only: without any, they are inert."""
    inert = trunk["position"]["op"] in ("rope", "alibi")
    if inert and all(block["mixer"]["op"] != "attention" for block in trunk["blocks"]):
        return {**trunk, "position": {"op": "none"}}
    return trunk


def check_depth(trunk: Tree, path: Path) -> Iterator[Misplaced]:
    """No more blocks than anybody can train here."""
    if depth(trunk) > MAX_DEPTH:
        what = f"at most {MAX_DEPTH} blocks after repeats"
        yield Misplaced((*path, "blocks"), what, str(depth(trunk)), "lower a repeat")


def depth(trunk: Tree) -> int:
    """Blocks after repeats."""
    return sum(block["repeat"] for block in trunk["blocks"])
