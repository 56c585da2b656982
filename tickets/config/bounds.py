"""The most that a campaign may ask for.

Far above any campaign that can be trained, and low enough that a campaign file cannot take all memory or much time
before its error is reported. Each is checked before the thing that it bounds is expanded or allocated. A bound can be
raised, and never lowered: saved campaigns are read by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping

# Of the text of a campaign file.
FILE_BYTES = 8 * 2**20  # 100,000 swept numbers take 1 to 3 MB as they are written to campaign.toml
VALUES = 250_000  # numbers, strings, lists and tables in one file
DEPTH = 32  # of tables and lists in one another; also the parts of a dotted key, a.b.c
DIGITS = 4300  # of a number; Python reads no longer ones

# Of a campaign.
RUNS = 100_000  # points of the sweep

# Of one run.
REPLICATES = 100_000
ROUNDS = 10_000
DRAWS = 10_000  # of an arm
NETWORKS = 100_000  # draws of all arms together
TRAININGS = 10_000_000  # replicates x (rounds + 1) x draws of all arms
EVALUATIONS = 1_000_000  # of one training: train.steps / train.evaluate_every
COUNT = 10**9  # every count without a bound of its own: steps, batch_size, examples, ...
THREADS = 4096  # of the CPU; several times what the largest machines have
MEMORY_GIB = 2**20  # a pebibyte
WIDTH = 1_000_000  # units of a layer
LAYERS = 1000  # hidden layers of a model
MADE_EXAMPLES = 10_000_000  # of a data set that is made
POINTS = 100_000  # of a line between two networks
GPUS = 1000  # of one job
LINE = 1000  # letters of a text that a scheduler gets

# The elements of lists, by key; these are compared with one another, or each costs time.
LENGTHS: Mapping[str, int] = {
    "arms": 1000,
    "probes": 1000,
    "claim": 100,
    "verdict.controls": 1000,
    "prune.exclude": 1000,
    "prune.include": 1000,
    "prune.densities": ROUNDS,
    "model.widths": LAYERS,
    "submit.options": 100,
}

# Of error messages.
PROBLEMS = 100  # lines; how many more there are is said
WRONG_POINTS = 200  # points of a sweep with an error; of those after them, only the last is looked at
NAME_SHOWN = 100  # characters of a key or a name
