"""Arithmetic of costs: the building blocks of every op's formula, all in whole numbers.

Takes sizes, gives a `Tally` for ONE item (a sequence, an image). Never imports torch: the tests compare these formulas
with torch's own FLOP counter.
"""

from __future__ import annotations

from collections import Counter

from compiler.fields import Tally


def total(*tallies: Tally) -> Tally:
    """Add tallies."""
    matrices: Counter[tuple[int, int]] = Counter()
    for tally in tallies:
        for rows, columns, count in tally.matrices:
            matrices[rows, columns] += count
    return Tally(
        sum(tally.parameters for tally in tallies),
        sum(tally.forward_flops for tally in tallies),
        sum(tally.backward_flops for tally in tallies),
        sum(tally.activations for tally in tallies),
        tuple((rows, columns, count) for (rows, columns), count in sorted(matrices.items())),
    )


def times(tally: Tally, count: int) -> Tally:
    """The same part, `count` times."""
    return Tally(
        tally.parameters * count,
        tally.forward_flops * count,
        tally.backward_flops * count,
        tally.activations * count,
        tuple((rows, columns, each * count) for rows, columns, each in tally.matrices),
    )


def linear(inputs: int, outputs: int, rows: int, bias: bool = False, hidden: bool = True) -> Tally:
    """A dense layer applied to `rows` vectors. `hidden` is false for embeddings and heads, which Muon leaves alone."""
    flops = 2 * rows * inputs * outputs
    matrices = ((outputs, inputs, 1),) if hidden else ()
    return Tally(inputs * outputs + (outputs if bias else 0), flops, 2 * flops, rows * outputs, matrices)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    rows: int,
    columns: int,
    groups: int = 1,
    bias: bool = False,
    first: bool = False,
) -> Tally:
    """A square convolution that gives a map of `rows` × `columns`. The `first` one needs no gradient of its input."""
    weights = inputs // groups * kernel * kernel * outputs
    flops = 2 * weights * rows * columns
    return Tally(
        weights + (outputs if bias else 0),
        flops,
        flops if first else 2 * flops,
        rows * columns * outputs,
        ((outputs, inputs // groups * kernel * kernel, 1),),
    )


def products(flops: int, activations: int = 0) -> Tally:
    """Matrix products between activations, no weights: both operands get a gradient."""
    return Tally(0, flops, 2 * flops, activations)


def vectors(parameters: int, activations: int) -> Tally:
    """Weights that only scale or shift, like a norm's: no matrix products."""
    return Tally(parameters, 0, 0, activations)
