"""Dataflow jobs seen from outside: plain REST calls, no Beam."""
