"""Trains the runs of a bundle and evaluates models: the part of AAMS that travels to wherever there is compute.

Needs torch, numpy, safetensors and the standard library, and imports nothing else of the repository. Every generated
model runs in a process of its own, under the laws of `trainer.laws`.
"""
