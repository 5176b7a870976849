"""Dataflow: jobs that workers elsewhere carry out, seen from here by plain REST calls."""
