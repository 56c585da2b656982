"""Timings: the stack trainer against loops that a user would write, densities, strategies, and how long a start takes.

    make bench                                          everything, which takes minutes
    make bench ARGS="-k 'training and b60'"             some rows; ARGS=--collect-only lists them all
    make bench ARGS="--benchmark-json=bench.json"       every measurement, with the machine that it was taken on
    make bench ARGS="--benchmark-min-rounds=9 --benchmark-min-time=1"    more rounds, longer measurements

How it is measured. All that a row compares is timed in turns, A B C A B C, in one process run, so that a change of
the machine's load meets everyone. A measurement is one training of enough steps to last `--benchmark-min-time`;
building, the first steps and evaluation are left out. A ratio is taken within each round; the tables show its median
over the rounds and (lowest..highest).

How to read it. "stack / x" is the stack's time over x's, each a step and network: below 1 the stack is faster. The
floor is the network's dense multiply-adds over the rate of a large matrix product, measured in each round on all
threads: what no dense trainer of Linear layers goes below. (Convolutions may: some algorithms multiply less.)

On a machine that others use too, the loops on all threads suffer far more than the rest, since each of their
operations waits for the slowest thread; see the spread.

What the JSON holds. `extra_info` of each benchmark: the table, the row, and by name the seconds of every round. Its
`stats` are of the whole call that was timed, set-up and all, in seconds.
"""
