"""Beam's option files: a definition as flags, one a line, and such a file as changes to one.

Beam's own benchmarks keep the shape of the cluster, the tables and the model of each benchmark in
such files. Nothing of a file is executed and no variable is expanded.
"""
