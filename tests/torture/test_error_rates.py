"""How often the answer to "is there a winning ticket?" is wrong, and how often it is found, on simulated campaigns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tickets.analysis import Rule, criteria, simultaneous, winning

ROUNDS = 16
CAMPAIGNS = {"named": 2_000, "simultaneous": 300}  # simulated for each truth
DENSE, SPREAD, NAMED = 0.6, 0.02, 0.21  # accuracy, its standard deviation over replicates, the named density

# What each hypothesis makes of the ticket: accuracy minus dense, minus reinit, and steps over dense.
MARGIN = 0.05 * (1 - DENSE)
TRUTHS = {
    "reinit is as good as the ticket": (0.0, 0.0, 0.7),
    "as much worse than dense as the margin": (-MARGIN, 0.04, 0.7),
    "as much slower than dense as the margin": (0.0, 0.04, 1.05),
    "a winning ticket": (0.005, 0.03, 0.7),
}


def campaigns(truth: tuple[float, float, float], count: int, n: int, correlation: float, seed: int) -> pd.DataFrame:
    """`rounds` of runs of n replicates. correlation: of what a replicate has in one round and the next."""
    generator = np.random.default_rng(seed)
    worse, gain, ratio = truth

    def noise() -> np.ndarray:  # (campaigns, replicates, rounds), each with standard deviation 1
        steps = generator.standard_normal((count, n, ROUNDS + 1))
        for number in range(1, ROUNDS + 1):
            steps[..., number] = correlation * steps[..., number - 1] + np.sqrt(1 - correlation**2) * steps[..., number]
        return steps

    shift = np.r_[0.0, np.full(ROUNDS, worse)]
    ticket = DENSE + shift + SPREAD * noise()
    reinit = DENSE + shift - gain + SPREAD * noise()
    steps = 400 * np.exp(np.r_[0.0, np.full(ROUNDS, np.log(ratio))] + 0.1 * noise())
    run, replicate, number = np.indices(ticket.shape).reshape(3, -1)
    parts = [
        pd.DataFrame(
            {
                "run": [f"{one:04d}" for one in run],
                "replicate": replicate,
                "round": number,
                "density": 0.8**number,
                "arm": arm,
                "draw": 0,
                "early_stop_test_accuracy": accuracy.reshape(-1),
                "final_test_accuracy": accuracy.reshape(-1),
                "early_stop_step": 500.0,
                "diverged": False,
                "last_step": 1000,
                "steps_to_dense_loss": steps.reshape(-1),
            }
        )
        for arm, accuracy in (("ticket", ticket), ("reinit", reinit))
    ]
    return pd.concat(parts, ignore_index=True)


RULES = {"named": Rule(density=NAMED), "simultaneous": Rule()}
NEAREST = 7  # the round at density 0.2097
ALSO_ASKED = 20  # campaigns of which `winning` is asked too


def share(rule: str, name: str, n: int, correlation: float) -> float:
    """The share of campaigns of which every criterion holds, where the rule has it decided."""
    rounds = campaigns(TRUTHS[name], CAMPAIGNS[rule], n, correlation, seed=n)
    if rule == "named":
        rounds = rounds[rounds["round"].isin([0, NEAREST])]
    table = criteria(rounds)
    simultaneous._largest.cache_clear()
    holds = table.groupby(["run", "round"])["holds_alone" if rule == "named" else "holds"].agg(set) == {"yes"}
    found = holds.groupby("run").any()
    few = rounds[rounds["run"] < f"{ALSO_ASKED:04d}"]
    asked = winning(few, dict.fromkeys(few["run"].unique(), RULES[rule]))
    assert [one.answer == "yes" for one in asked] == [bool(found[one.run]) for one in asked]
    return float(found.mean())


@pytest.mark.torture
@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize("n", [5, 10, 20])
def test_a_false_yes_is_said_in_at_most_3_of_100_campaigns(n, correlation, monkeypatch, capsys):
    monkeypatch.setattr(simultaneous, "DRAWS", 4_000)
    found = pd.DataFrame({rule: {name: share(rule, name, n, correlation) for name in TRUTHS} for rule in RULES}).T
    with capsys.disabled():
        print(f"\nshare of yes, n = {n}, rounds correlate by {correlation}\n{found.T.to_string()}")
    power = found.pop("a winning ticket")
    for rule, count in CAMPAIGNS.items():
        most = 0.03 + 2 * (0.025 * 0.975 / count) ** 0.5  # and two standard errors of the simulation
        assert (found.loc[rule] <= most).all()
    assert power["named"] > {5: 0.15, 10: 0.7, 20: 0.95}[n]
