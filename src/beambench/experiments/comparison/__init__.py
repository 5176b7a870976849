"""Two sides of a benchmark beside each other: which is faster, or whether they are the same."""
