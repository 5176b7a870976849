"""The proof that the work was done: labels, their sums, and adding these up in a pipeline."""
