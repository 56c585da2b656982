"""Schedulers of clusters: what they are asked, and what they say of jobs."""
