"""Benchmarks: the output path against a floor that is measured in the same run, since machines differ and are noisy."""
