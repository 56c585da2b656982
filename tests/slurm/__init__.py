"""Tests with a real Slurm, which cluster.py starts."""
