"""From a spec to one readable PyTorch file: strict reading, canonical ids, static cost, rendering, smoke step."""
