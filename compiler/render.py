"""Spec in, readable PyTorch out: one self-contained `model.py`.

Takes a valid spec and the interface of its data. Gives ASCII source that imports torch and math only; the same bytes in
every process on every machine, and for every spec with the same id. No text of a spec reaches the source except through
the `literal` filter: names come from declarations, everything else is a number, true, false or None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

import jinja2

from aams.errors import failure
from aams.records import Interface, Spec
from aams.strict import Path, path_text
from compiler.cost import estimate
from compiler.fields import Place, Tree
from compiler.identity import simplest
from compiler.ops import OPS
from compiler.skeletons import SKELETONS

HERE = FilePath(__file__).parent


def render(spec: Spec, interface: Interface) -> str:
    """Compile a spec.

    Args:
        spec: a spec that the strict reader has accepted.
        interface: what the domain's active corpus gives and asks.

    Returns:
        ASCII source with one class `Model` that takes no arguments.
    """
    tree = simplest(spec.tree)
    parts = Parts()
    skeleton = SKELETONS[spec.domain]
    calls = {site.path: parts.call(site.kind, site.op, site.place) for site in skeleton.sites(tree["model"], interface)}
    source = (
        _environment()
        .get_template(f"skeletons/{spec.domain}.py.j2")
        .render(
            model=tree["model"],
            interface=interface,
            calls=calls,
            parts=parts,
            summary=summary(tree, interface),
            id=spec.id,
        )
    )
    source = source.rstrip() + "\n"
    if not source.isascii():
        raise failure("the rendered source is not ASCII", advice="mend the template that brought the character in")
    return source


def summary(tree: Tree, interface: Interface) -> list[str]:
    """The architecture in a few lines for the module's docstring."""
    cost = estimate(tree, interface)
    lines = [f"{cost.parameters:,} parameters, {cost.forward_flops:,} FLOPs forward per item.", ""]
    sites = list(SKELETONS[tree["domain"]].sites(tree["model"], interface))
    repeats: Counter[Path] = Counter()
    for site in sites:
        repeats[site.path] += site.repeat
    for path, op in {site.path: site.op for site in sites}.items():
        words = [
            f"{key}={value}" for key, value in op.items() if key != "op" and value is not None and value is not False
        ]
        times = f"{repeats[path]} x " if repeats[path] > 1 else ""
        lines.append(f"{path_text(path[1:])}: {times}{op['op']}" + (f"({', '.join(words)})" if words else ""))
    return lines


@dataclass(frozen=True, slots=True)
class Part:
    """One class of the source: its name, the keyword arguments of its constructor, and what flows out of it."""

    name: str
    arguments: str
    out: Place

    def make(self, *leading: str) -> str:
        """The expression that builds it, after leading arguments given as Python expressions."""
        return f"{self.name}({', '.join(filter(None, (*leading, self.arguments)))})"


class Parts:
    """Collects the classes a model needs, each once, in an order in which every one is defined before it is used."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}

    def call(self, kind: str, op: Tree, place: Place) -> Part | None:
        """Register an op's class and those it uses; None for an op that has no code of its own."""
        declaration = OPS[kind][op["op"]]
        if not declaration.class_name:
            return None
        used = {name: self.call(*inner, place) for name, inner in declaration.uses(op, place).items()}
        arguments = ", ".join(f"{name}={literal(value)}" for name, value in declaration.arguments(op, place).items())
        template = _environment().get_template(f"ops/{op['op'].replace('-', '_')}.py.j2")
        context = {"op": op, "place": place, "parts": self, "position": None, **used}
        name = self.define(declaration.class_name, template, **context)
        return Part(name, arguments, declaration.out(op, place))

    def define(self, wanted: str, template: jinja2.Template, **context: Any) -> str:
        """Add a class unless an equal one is there; a different one of the same name gets a number."""
        number = 1
        while True:
            name = wanted if number == 1 else f"{wanted}{number}"
            source = template.render(name=name, **context).strip()
            if self.sources.setdefault(name, source) == source:
                return name
            number += 1

    def mention(self, word: str) -> bool:
        """Whether any class so far needs `word`: what to import."""
        return any(word in source for source in self.sources.values())

    def block(self, template: str, wanted: str, **context: Any) -> str:
        """Add a class of a skeleton's own template; gives its name."""
        return self.define(wanted, _environment().get_template(f"skeletons/{template}.py.j2"), **context)


def literal(value: object) -> str:
    """The one way from a spec's value to source: `repr` of exactly int, float, bool or None.

    Raises:
        AamsError: anything else, a string above all.
    """
    if type(value) in (int, float, bool, type(None)):
        return repr(value)
    raise failure("only numbers, true, false and None may become code", type(value).__name__)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=False,
        lstrip_blocks=False,
        keep_trailing_newline=False,
        auto_reload=False,
    )
    environment.filters["literal"] = literal
    return environment


def template_digests() -> Mapping[str, str]:
    """SHA-256 of every template by name: what the manifest freezes."""
    from aams.canonical import sha256

    return {str(path.relative_to(HERE).as_posix()): sha256(path.read_bytes()) for path in sorted(HERE.rglob("*.j2"))}
