"""Pictures of the ledger for papers and reports: fitness, lineage, a Pareto front, the pairs of one attempt.

`numbers` says what each one shows, as records without a drawing in them. `fitness`, `lineage`, `pareto` and `pairs`
draw those with matplotlib, which nothing imports before; `style` is how all of them look and how they become a file.
"""
