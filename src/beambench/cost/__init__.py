"""What usage costs: dated price sheets and machine shapes as data, and the estimate."""
