"""Benchmarks: ratios against named peers, never timed unit tests."""
