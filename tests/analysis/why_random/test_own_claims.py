"""The functions that answer claims: made-up layers and ends with the answer known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis.claim_functions import OWN, answered_by_function
from tickets.analysis.why_random import keeps_distances, one_direction, other_ends, own_claims
from tickets.analysis.why_random.ends import COLUMNS

from tickets.config.claims import ClaimConfig


@pytest.fixture
def counted(units_of):
    """counted([evenness by replicate, ...], rank): a saved run `a` whose layers, one a list, have these at step 0."""

    def make(layers, rank=5.0):
        replicates = [
            units_of(
                [(step, str(place), 8, 8, 1.0, *((low, 1.0, 2.0, rank) if step == 0 else (9.0,) * 4))
                 for step in (0, 10) for place, low in enumerate(lows)],
                replicate=number,
            )
            for number, lows in enumerate(zip(*layers, strict=True))
        ]  # fmt: skip
        table = pd.concat(replicates, ignore_index=True)
        return SimpleNamespace(probes={"units": ["a"]}, probe=lambda name, run: table[table["run"] == run])

    return make


@pytest.mark.parametrize(
    ("layers", "answer"),
    [
        ([[0.8, 0.81, 0.8]], "yes"),
        ([[0.8, 0.81, 0.8], [0.7, 0.71, 0.7]], "yes"),
        ([[0.8, 0.81, 0.8], [0.1, 0.11, 0.1]], "no"),  # one layer is enough
        ([[0.1, 0.11, 0.1]], "no"),
        ([[0.45, 0.55, 0.6]], "cannot tell"),
        ([[0.8, 0.81, 0.8], [0.45, 0.55, 0.6]], "cannot tell"),
        ([[0.8]], "cannot tell"),
    ],
)
def test_layers_keep_distances_by_the_intervals_of_each(counted, layers, answer):
    found = keeps_distances(counted(layers), "a")
    assert found["answer"] == answer
    least = min(layers, key=np.mean)
    assert (found["estimate"], found["n"], found["density"]) == (pytest.approx(np.mean(least)), len(least), 1.0)
    if len(least) > 1:
        interval = stats.t.interval(0.95, len(least) - 1, loc=np.mean(least), scale=stats.sem(least))
        assert (found["low"], found["high"]) == pytest.approx(interval)


@pytest.mark.parametrize(("rank", "answer"), [(1.0, "yes"), (0.0, "yes"), (1.0009, "yes"), (1.01, "no"), (3.0, "no")])
def test_equal_units_pass_on_one_direction(counted, rank, answer):
    found = one_direction(counted([[0.5, 0.5], [0.5, 0.5]], rank), "a")
    assert (found["answer"], found["estimate"], found["n"]) == (answer, rank, 2)
    assert found["why"] == f"effective rank {rank:.3g} in 2 layers, n = 2"


def test_one_network_and_no_layer_show_nothing(counted):
    assert one_direction(counted([[0.5]], 1.0), "a")["answer"] == "cannot tell"
    for function in (keeps_distances, one_direction):
        found = function(SimpleNamespace(probes={}), "a")
        assert found == {"answer": "cannot tell", "why": "no hidden units were counted"}


def pair(same_start, same_order, identical, distance):
    row = {"same_start": same_start, "same_order": same_order, "identical": identical, "distance": distance}
    return {**dict.fromkeys(COLUMNS, 0), **row}


REPEAT, REORDER, REINIT, TICKET = (True, True), (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("pairs", "answer", "why"),
    [
        (
            [(REPEAT, True, 0.0), (REORDER, False, 0.5), (REORDER, False, 0.7), (REINIT, False, 1.0)],
            "yes",
            "ends differ in 3 of 3 pairs; distance between ends / distance travelled, mean (range): other order 0.60 "
            "(0.50 to 0.70); other start 1.00 (1.00)",
        ),
        (
            [(REORDER, True, 0.0), (TICKET, True, 0.0)],
            "no",
            "ends differ in 0 of 2 pairs; distance between ends / distance travelled, mean (range): other order 0.00 "
            "(0.00); both other 0.00 (0.00)",
        ),
        (
            [(REORDER, True, 0.0), (REORDER, False, 0.5)],
            "cannot tell",
            "ends differ in 1 of 2 pairs; distance between ends / distance travelled, mean (range): other order 0.25 "
            "(0.00 to 0.50)",
        ),
        ([(REPEAT, False, 1.0), (REORDER, False, 0.5)], "cannot tell", "1 pair with another order or start"),
    ],
)
def test_other_ends_are_those_of_another_order_or_start(monkeypatch, config, pairs, answer, why):
    table = pd.DataFrame([pair(*shared, identical, distance) for shared, identical, distance in pairs])
    monkeypatch.setattr(own_claims, "ends", lambda saved, run: table)
    saved = SimpleNamespace(config=lambda run: config(arms=["ticket", "repeat", "reorder"]))
    found = other_ends(saved, "a")
    assert (found["answer"], found["why"]) == (answer, why)
    if answer != "cannot tell":
        others = [distance for shared, _, distance in pairs if shared != REPEAT]
        assert (found["estimate"], found["n"]) == (pytest.approx(np.mean(others)), len(others))


def test_without_trained_values_other_ends_cannot_be_told(config):
    found = other_ends(SimpleNamespace(config=lambda run: config(trained="ticket", arms=["ticket", "repeat"])), "a")
    assert found["answer"] == "cannot tell"
    assert 'store.trained = "ticket"' in found["why"]


def test_they_are_called_whatever_is_trusted_and_no_other_function_of_the_package_is(starts_saved):
    def answered(name):
        claim = ClaimConfig(id="own", says="it holds", function=name)
        return answered_by_function(starts_saved, starts_saved.runs[0], claim)

    assert {name.partition(":")[2] for name in OWN} == {
        "keeps_distances", "one_direction", "other_ends", "as_predicted", "no_slower_than_predicted", "constructed",
        "equal_numbers_fail",
    }  # fmt: skip
    for name in OWN:
        assert answered(name).answer in ("yes", "no", "cannot tell")
    for name in ("tickets.analysis.why_random:study_of", "tickets.analysis.why_random.own_claims:other_ends"):
        assert "is called only where it is trusted" in answered(name)
