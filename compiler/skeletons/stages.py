"""A stem and stages of blocks over a feature map: the trunk of vision models, and the eye of hybrid ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aams.records import Interface
from aams.strict import Path
from compiler.fields import Group, Int, Many, Place, Slot, Tree
from compiler.ops import OPS
from compiler.skeletons.site import Misplaced, Site

MAX_DEPTH = 256

BLOCK = Group(
    "block",
    (
        Int("repeat", 1, 64, default=1, about="So many equal blocks in a row, each with its own weights."),
        Slot("block", "block", about="Mixes points and channels."),
        Slot("norm", "image-norm", default={"op": "batchnorm"}),
    ),
)

STAGE = Group(
    "stage",
    (
        Int("width", 8, 1024, multiple=8, about="Channels its blocks give."),
        Int("stride", 1, 2, default=1, about="2: its first block halves rows and columns, rounded up."),
        Many("blocks", BLOCK, 1, 32, about="From the first to the last."),
    ),
)

TRUNK = (
    Slot("stem", "stem", about="From pixels to the first map."),
    Many("stages", STAGE, 1, 8, about="From the finest map to the coarsest."),
)


def sites(trunk: Tree, path: Path, interface: Interface) -> Iterator[Site]:
    """Every op of a full trunk. The first block of a stage, which takes its width and stride, is a site of its own."""
    place = Place(interface.channels, rows=interface.height, columns=interface.width)
    yield Site((*path, "stem"), "stem", trunk["stem"], place, 1)
    place = OPS["stem"][trunk["stem"]["op"]].out(trunk["stem"], place)
    for index, stage in enumerate(trunk["stages"]):
        place = replace(place, target=stage["width"], stride=stage["stride"])
        for number, block in enumerate(stage["blocks"]):
            at = (*path, "stages", index, "blocks", number)
            first = replace(place, norm=block["norm"])
            later = OPS["block"][block["block"]["op"]].out(block["block"], first)
            for where, repeat in ((first, 1), (later, block["repeat"] - 1)):
                if repeat:
                    site = Site((*at, "block"), "block", block["block"], where, repeat)
                    yield from normed(site, (*at, "norm"))
            place = later


def normed(site: Site, norm_path: Path) -> Iterator[Site]:
    """A site, and one for every norm that its op applies inside; `norm_path` is where the spec names that norm."""
    norm = site.place.norm
    if norm:
        for place in OPS[site.kind][site.op["op"]].norms(site.op, site.place):
            yield Site(norm_path, "image-norm", norm, place, site.repeat)
    yield site


def result(trunk: Tree, interface: Interface) -> Place:
    """The last map, with the norm of the last block for whoever reads it."""
    *_, last = (site for site in sites(trunk, (), interface) if site.kind == "block")
    return OPS["block"][last.op["op"]].out(last.op, last.place)


def last_norm(trunk: Tree, path: Path) -> Path:
    """Where the spec names the norm that `result` carries."""
    last = len(trunk["stages"]) - 1
    return (*path, "stages", last, "blocks", len(trunk["stages"][last]["blocks"]) - 1, "norm")


def settle(trunk: Tree) -> Tree:
    """A stage that neither widens nor shrinks is part of the one before."""
    stages: list[Tree] = []
    for stage in trunk["stages"]:
        if stages and stage["stride"] == 1 and stage["width"] == stages[-1]["width"]:
            stages[-1] = {**stages[-1], "blocks": [*stages[-1]["blocks"], *stage["blocks"]]}
        else:
            stages.append(stage)
    return {**trunk, "stages": stages}


def check(trunk: Tree, path: Path, interface: Interface) -> Iterator[Misplaced]:
    """No more blocks than anybody can train here, and no stride on a map of one point."""
    depth = sum(block["repeat"] for stage in trunk["stages"] for block in stage["blocks"])
    if depth > MAX_DEPTH:
        yield Misplaced((*path, "stages"), f"at most {MAX_DEPTH} blocks after repeats", str(depth), "lower a repeat")
    for site in sites(trunk, path, interface):
        if site.kind == "block" and site.place.stride > 1 and site.place.rows * site.place.columns == 1:
            stage = site.path[:-3]
            yield Misplaced((*stage, "stride"), "the map is one point already", str(site.place.stride), "use stride 1")
