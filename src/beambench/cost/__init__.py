"""What runs cost: prices, the usage of jobs, projections of local runs, and the report."""
