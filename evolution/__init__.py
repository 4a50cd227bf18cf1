"""Proposals: pure mutators, crossover, selection, and the planners that ask for them."""
