"""The control loop of AAMS: records, canonical forms, bundles, lanes, cycles, views and the command line."""
