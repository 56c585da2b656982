"""Claims and their verdicts: made-up studies with the answer known, and a tiny campaign recomputed by hand."""

import numpy as np
import pandas as pd
import pytest
from tickets.analysis.why_random import (
    CLAIMS,
    answer,
    claims,
    comparisons,
    judged,
    to_markdown,
)
from tickets.analysis.why_random.claims_training import COMPARED
from tickets.analysis.why_random.ends import COLUMNS

HALF = {"name": "constant", "biases": "zeros", "value": 0.5}
ALL = [
    "equal", "slower", "differing", "without_chance", "distances", "one_direction", "dropout", "dropout_helps", "mask",
    "mask_helps", "mask_ticket", "zeros_linear", "zeros_hidden", "biases", "same_end", "other_end",
    "other_end_accuracy",
]  # fmt: skip


def verdicts(study):
    """{(name, case): (verdict, evidence)} of a study of one setting."""
    rows = judged(study, comparisons(study)).to_dict("records")
    return {(row["name"], row["case"]): (row["verdict"], row["evidence"]) for row in rows}


def together(parts):
    return pd.concat(parts, ignore_index=True)


def networks(units_of, courses, **key):
    """A network for each list of (distinct, within) by step, in one layer; the spread is 0.25 where they part."""
    return together(
        [
            units_of([(10 * k, "1", *pair, 0.25 * (pair[1] > 1)) for k, pair in enumerate(course)], replicate=n, **key)
            for n, course in enumerate(courses)
        ]
    )


def test_units_that_stay_equal(config, study, units_of):
    units = networks(units_of, [[(1, 1), (1, 1)], [(1, 1), (1, 1)]])
    verdict, evidence = verdicts(study({"a": config(HALF)}, units))["equal", "widths 8"]
    assert verdict == "shown"
    assert evidence == (
        "2 networks (constant 0.5): one distinct unit in every layer, bit for bit, at every evaluated step."
    )


def test_units_that_rounding_parts_a_little(config, study, units_of):
    units = networks(units_of, [[(1, 1), (2, 1)], [(1, 1), (1, 1)]])
    verdict, evidence = verdicts(study({"a": config(HALF)}, units))["equal", "widths 8"]
    assert verdict == "shown"
    assert "units differ in 1 of 2 networks (constant 0.5), first seen at step 10" in evidence
    assert "by more than the tolerance in none" in evidence


def test_one_network_whose_units_part_refutes_it(config, study, units_of):
    units = networks(units_of, [[(1, 1), (2, 1), (2, 2)], [(1, 1), (1, 1), (1, 1)]])
    verdict, evidence = verdicts(study({"a": config(HALF)}, units))["equal", "widths 8"]
    assert verdict == "shown not to hold"
    assert (
        "than the tolerance in 1, first seen at step 20 (at the end they differ by 0.25 of a unit's length)" in evidence
    )


def test_one_network_shows_nothing(config, study, units_of):
    units = networks(units_of, [[(1, 1), (1, 1)]])
    assert verdicts(study({"a": config(HALF)}, units))["equal", "widths 8"][0] == "cannot tell"


def test_a_network_that_diverges_neither_shows_nor_hides_anything(config, study, units_of, made):
    lost = units_of([(0, "1", 1, 1, 0.0), (10, "1")], replicate=2)
    units = networks(units_of, [[(1, 1), (1, 1)], [(1, 1), (1, 1)]])
    verdict, evidence = verdicts(study({"a": config(HALF)}, together([units, lost])))["equal", "widths 8"]
    assert verdict == "shown"
    assert evidence.endswith("; 1 network diverged.")
    ran_away = made({(0, "ticket"): [0.5, 0.5, np.nan]})
    third = networks(units_of, [[(1, 1), (1, 1)]] * 3)
    assert verdicts(study({"a": config(HALF)}, third, ran_away))["equal", "widths 8"][1].endswith(
        "; 1 network diverged."
    )
    alone = verdicts(study({"a": config(HALF)}, lost))["equal", "widths 8"]
    assert alone[0] == "cannot tell"


def test_dropout_and_masks_break_it_in_every_network_or_do_not(config, study, units_of):
    part, stay = [(1, 1), (4, 3)], [(1, 1), (1, 1)]
    for courses, expected in (
        ([part, part], "shown"),
        ([stay, stay], "shown not to hold"),
        ([part, stay], "cannot tell"),
    ):
        units = networks(units_of, courses)
        found = verdicts(study({"a": config(HALF, dropout=0.5)}, units))
        assert found["dropout", ""][0] == expected
        masked = networks(units_of, courses, round=1, arm="constant")
        found = verdicts(study({"a": config()}, masked))
        assert found["mask", ""][0] == expected
    assert "in 1 of 2 networks" in found["mask", ""][1].lower()


def test_every_layer_must_part(config, study, units_of):
    layers = [(0, "1", 1, 1, 0), (0, "3", 1, 1, 0), (10, "1", 4, 4, 1), (10, "3", 1, 1, 0)]
    units = together([units_of(layers, replicate=n) for n in (0, 1)])
    assert verdicts(study({"a": config(HALF, dropout=0.5)}, units))["dropout", ""][0] == "shown not to hold"


def test_slower_needs_every_equal_start_to_be_worse_than_every_random_one(config, study, units_of, made):
    configs = {"half": config(HALF), "zeros": config("zeros"), "random": config()}
    units = together([networks(units_of, [[(1, 1)]], run=run) for run in configs])

    def losses(zeros):
        values = {"half": [2.3, 2.4, 2.3], "zeros": zeros, "random": [0.1, 0.2, 0.1]}
        return together([made({(0, "ticket"): row}, run=run) for run, row in values.items()])

    verdict, evidence = verdicts(study(configs, units, losses([2.3, 2.3, 2.3])))["slower", ""]
    assert verdict == "shown"
    assert "(2 comparisons of 3 pairs each)" in evidence
    verdict, evidence = verdicts(study(configs, units, losses([0.1, 0.2, 0.1])))["slower", ""]
    assert verdict == "cannot tell"
    assert "one by one: 1 shown, 1 shown not to hold" in evidence


def test_how_many_reach_a_loss_is_said_beside_when(config, study, units_of, made):
    configs = {"half": config(HALF), "random": config()}
    units = together([networks(units_of, [[(1, 1)]], run=run) for run in configs])
    rounds = together([made({(0, "ticket"): [2.3, 2.4]}, run="half"), made({(0, "ticket"): [0.4, 0.4]}, run="random")])
    courses = {"half": [[2.3, 2.3, 2.3], [2.3, 2.3, 0.4]], "random": [[2.3, 0.9, 0.4], [2.3, 0.4, 0.05]]}
    curves = pd.DataFrame(
        [
            {"run": run, "replicate": n, "round": 0, "arm": "ticket", "draw": 0, "step": 10 * k, "train_loss": loss}
            for run, both in courses.items() for n, one in enumerate(both) for k, loss in enumerate(one)
        ]
    )  # fmt: skip
    evidence = verdicts(study(configs, units, rounds, curves))["slower", ""][1]
    assert evidence.endswith(
        "A training loss of 0.5 is reached by all 2 networks from random starts, after 10 to 20 steps, and by 1 of 2 "
        "from equal ones, after 20 steps."
    )


def test_zeros_are_blind_where_the_last_layer_says_the_same_of_all(config, study, units_of, made):
    configs = {"zeros": config("zeros"), "random": config()}
    rounds = together([made({(0, "ticket"): [0.1, 0.1]}, run="zeros"), made({(0, "ticket"): [0.9, 0.8]}, run="random")])

    def units(rank, random=9.0):
        rows = [(step, layer, 1, 1, 0, 0, 0, 0, rank) for step in (0, 10) for layer in ("1", "3")]
        parts = [units_of(rows, run="zeros", replicate=n) for n in (0, 1)]
        return together([*parts, networks(units_of, [[(1, 1)]], run="random")])

    verdict, evidence = verdicts(study(configs, units(0.0), rounds))["zeros_hidden", ""]
    assert verdict == "shown"
    assert evidence.startswith("At the end 2 of 2 networks give every input the same hidden values (effective rank 0)")
    assert "test accuracy 10.0 %" in evidence
    assert verdicts(study(configs, units(1.0), rounds))["zeros_hidden", ""][0] == "cannot tell"
    equal = together([made({(0, "ticket"): [0.9, 0.9]}, run=run) for run in configs])
    assert verdicts(study(configs, units(1.0), equal))["zeros_hidden", ""][0] == "shown not to hold"


def pair(run, replicate, against, identical, distance, **changes):
    same = {"same_start": True, "same_order": True, "identical": identical, "distance": distance}
    row = {"run": run, "replicate": replicate, "against": against, "other": replicate, "draw": 0, **same}
    return pd.DataFrame([{**row, "accuracy_difference": 0.0, **changes}], columns=COLUMNS)


def test_one_repeat_that_ends_elsewhere_refutes_it(config, study, units_of):
    units = networks(units_of, [[(1, 1)]])
    good = [pair("a", n, "repeat", True, 0.0) for n in (0, 1)]
    found = verdicts(study({"a": config()}, units, ends=together(good)))
    assert found["same_end", "random starts"] == ("shown", "Bit for bit the same in 2 of 2 pairs.")
    bad = pair("a", 2, "repeat", False, 0.25, accuracy_difference=-0.01)
    verdict, evidence = verdicts(study({"a": config()}, units, ends=together([*good, bad])))[
        "same_end", "random starts"
    ]
    assert verdict == "shown not to hold"
    assert evidence == (
        "Bit for bit the same in 2 of 3 pairs; the others (glorot_normal) end 0.25 of the distance travelled apart, "
        "and differ by 1.00 points of accuracy."
    )
    assert verdicts(study({"a": config()}, units, ends=good[0]))["same_end", "random starts"][0] == "cannot tell"


def test_other_ends_are_told_by_what_is_not_shared(config, study, units_of, made):
    units = networks(units_of, [[(1, 1)]])
    rounds = made({(0, "ticket"): [0.5, 0.6]})
    pairs = together(
        [
            pair("a", 0, "reorder", False, 0.5, same_order=False),
            pair("a", 0, "reinit", False, 1.0, same_start=False),
            pair("a", 0, "ticket", False, 1.5, same_start=False, same_order=False, other=1),
        ]
    )
    verdict, evidence = verdicts(study({"a": config()}, units, rounds, ends=pairs))["other_end", ""]
    assert verdict == "shown"
    assert "other order 0.50 [0.50] (1 pair); other start 1.00 [1.00] (1 pair); both other 1.50" in evidence
    assert f"standard deviation of {100 * np.std([0.5, 0.6], ddof=1):.2f} points" in evidence


def test_layers_keep_distances_by_their_intervals(config, study, units_of):
    def units(low):
        rows = [(0, "1", 8, 8, 1.0, ratio, 1.0, 2.0, 5.0) for ratio in low]
        return together([units_of([row], replicate=n) for n, row in enumerate(rows)])

    for low, expected in (
        ([0.8, 0.81, 0.8], "shown"),
        ([0.1, 0.11, 0.1], "shown not to hold"),
        ([0.45, 0.55, 0.6], "cannot tell"),
        ([0.8], "cannot tell"),
    ):
        assert verdicts(study({"a": config()}, units(low)))["distances", "random starts"][0] == expected


@pytest.mark.parametrize(("rank", "expected"), [(1.0, "shown"), (0.0, "shown"), (3.0, "shown not to hold")])
def test_equal_units_pass_on_one_direction(config, study, units_of, rank, expected):
    units = together([units_of([(0, "1", 1, 1, 0, 1, 1, 1, rank)], replicate=n) for n in (0, 1)])
    assert verdicts(study({"a": config(HALF)}, units))["one_direction", ""][0] == expected


def test_what_a_campaign_lacks_is_listed_with_why(config, study, units_of):
    found = verdicts(study({"a": config()}, networks(units_of, [[(4, 4)]]), no_ends={"a": "nothing was trained twice"}))
    assert [name for name, _ in found] == ALL
    lacking = {name: evidence for (name, _), (verdict, evidence) in found.items() if evidence.startswith("Not in this")}
    assert set(lacking) == set(ALL) - {"distances"}
    assert all(verdict == "cannot tell" for verdict, _ in found.values())
    assert lacking["dropout"] == "Not in this campaign: no run starts with equal units and trains with dropout."
    assert lacking["same_end"] == "Not in this campaign: nothing was trained twice."


def test_settings_are_judged_each_by_itself(config, study, units_of):
    configs = {"a": config(HALF), "b": config(HALF, data="mnist1d")}
    units = together([networks(units_of, [[(1, 1)], [(1, 1)]]), networks(units_of, [[(1, 1), (9, 9)]], run="b")])
    whole = study(configs, units)
    table = judged(whole, comparisons(whole))
    rows = table[table["name"] == "equal"]
    assert dict(zip(rows["setting"], rows["verdict"], strict=True)) == {
        "digits": "shown",
        "mnist1d": "shown not to hold",
    }
    (first, *_) = answer(table).outcomes
    assert first.sentence.endswith(": shown for widths 8 on digits; shown not to hold for widths 8 on mnist1d.")


def test_the_answer_follows_the_verdicts():
    def lead(*verdicts):
        columns = {"name": "slower", "claim": "c", "case": "", "setting": [str(k) for k, _ in enumerate(verdicts)]}
        return answer(pd.DataFrame({**columns, "verdict": list(verdicts)})).lead

    assert lead("shown", "shown") == "So that hidden units differ."
    assert lead("shown not to hold") == "In this campaign they need not be."
    assert lead("shown", "cannot tell") == lead("shown", "shown not to hold") == "This campaign cannot tell."


def test_each_claim_is_named_once_and_in_order():
    assert [claim.id for claim in CLAIMS] == ALL
    assert len({claim.sentence for claim in CLAIMS}) == len(ALL)
    assert {claim.id for claim in CLAIMS if claim.comparison is not None} == {claim.id for claim in COMPARED}


def test_the_claims_in_markdown_are_a_row_each(config, study, units_of):
    whole = study({"a": config(HALF)}, networks(units_of, [[(1, 1), (1, 1)]] * 2))
    table = judged(whole, comparisons(whole))
    head, rule, first, *rest = to_markdown(table).splitlines()
    assert (head.count("|"), rule.count("|"), len(rest)) == (5, 5, len(table) - 1)
    assert first == (
        "| Hidden units that start equal stay equal while nothing in training is random (widths 8) | digits | shown | "
        "2 networks (constant 0.5): one distinct unit in every layer, bit for bit, at every evaluated step. |"
    )


def test_a_tiny_campaign_by_hand_from_saved_tables(starts_saved):
    table = claims(starts_saved).set_index(["name", "case"])
    assert list(dict.fromkeys(name for name, _ in table.index)) == ALL
    assert not table["evidence"].str.contains("Not in this campaign|nan").any()
    kinds = {run: str(starts_saved.config(run)["model"]) for run in starts_saved.runs}
    units, rounds = starts_saved.units, starts_saved.rounds
    dense = units.query("round == 0 and arm == 'ticket'")
    equal = [run for run, text in kinds.items() if ("zeros'," in text or "constant" in text) and "dropout" not in text]
    still = dense[dense["run"].isin([run for run in equal if "glorot" not in kinds[run]])]
    assert still["run"].nunique() == 2
    stays = "shown" if (still["distinct_within"] == 1).all() else "shown not to hold"
    assert table.loc[("equal", "widths 8"), "verdict"] == stays
    (dropout,) = [run for run, text in kinds.items() if "dropout" in text]
    last = dense[(dense["run"] == dropout) & (dense["step"] == 20)]
    assert f"{last['distinct_within'].min():.0f} of 8" in table.loc[("dropout", ""), "evidence"]
    (zero,) = [run for run, text in kinds.items() if "'init': 'zeros'" in text and "[8]" in text]
    accuracy = 100 * rounds[(rounds["run"] == zero)].query("round == 0 and arm == 'ticket'")["final_test_accuracy"]
    assert f"{accuracy.min():.1f} to {accuracy.max():.1f} %" in table.loc[("zeros_hidden", ""), "evidence"]
