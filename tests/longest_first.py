"""The order of the tests' files: those that take longest come first, so that in the end no worker waits for another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Seconds of one processor (of the first, of waiting), of those that take ten and more; the others follow in
# pytest's order.
SECONDS = {
    "slurm/test_jobs.py": 75,
    "test_every_combination.py": 65,
    "test_examples.py": 38,
    "test_odd_modules.py": 36,
    "analysis/report/test_page.py": 32,
    "command_line/test_report.py": 28,
    "analysis/report/test_why_random.py": 28,
    "test_readme.py": 25,
    "models/test_chance.py": 25,
    "analysis/test_winning.py": 22,
    "command_line/test_interrupted.py": 21,
    "test_importing.py": 20,
    "test_process_state.py": 20,
    "test_refused_campaign.py": 20,
    "test_preloaded.py": 20,
    "stack/test_divergence.py": 20,
    "stack/test_sparse.py": 20,
    "store/test_killed.py": 19,
    "test_campaign_interrupted.py": 18,
    "store/test_every_bit.py": 18,
    "test_engines.py": 16,
    "test_reading_while_writing.py": 16,
    "test_guard.py": 15,
    "command_line/test_streams.py": 15,
    "command_line/test_app.py": 14,
    "test_guard_common_state.py": 12,
    "test_full_disk.py": 12,
    "test_own_arms_trained.py": 11,
    "test_probing.py": 11,
    "test_evaluate_on.py": 11,
    "test_campaign_growth.py": 11,
    "stack/test_lanes.py": 11,
    "stack/test_pruned_values.py": 11,
    "probes/test_campaigns.py": 11,
    "test_rival_writers.py": 10,
    "test_golden.py": 10,
    "stack/test_memory.py": 10,
    "analysis/test_simultaneous.py": 10,
    "analysis/report/test_annotation.py": 10,
    "hostile/test_memory.py": 10,
}


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests of a session by their files; within a file they stay as they are."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: -SECONDS.get(os.path.relpath(item.path, tests), 0))
