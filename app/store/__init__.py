"""The store: the only files that speak Redis. Executors and viewers meet nowhere else."""
