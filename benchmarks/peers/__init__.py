"""The variants of one measurement, each a module to run in a process of its own: `python -m benchmarks.peers.NAME JOB`.

`kernel` is ours. Two ceilings are written by hand on a bare client, at the same guarantee. The others are what the
authors of a framework would write, at the guarantee that its docstring names. Those in other languages are folders
(`franz_go`, `kafka_streams`) that `benchmarks.compiled` builds; they take the same job and print the same measurement.
"""
