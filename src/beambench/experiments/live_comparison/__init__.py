"""A live comparison: configurations of a benchmark measured in turns, each in its own session."""
