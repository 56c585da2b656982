from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import tickets
from tickets.errors import InputError
from tickets.store import load, write_round, write_run
from tickets.store.sealed import sealed_json
from tickets.store.tables import CURVES, ROUNDS, UNITS


@pytest.fixture(scope="module")
def folder(example, tmp_path_factory):
    """A campaign of two runs; the second has two cohorts, a part added later, and a half-written round."""
    campaign = tmp_path_factory.mktemp("saved") / "campaign"
    example.named("run-b").write(campaign / "run-b")
    example = example.named("run-a")
    run = example.config(replicates=1, rounds=1)
    example.write(campaign / "run-a", run)
    cohort = example.write_cohort(campaign / "run-a", run, [1], index=1, rounds=2)
    more = example.config(arms=["ticket", {"name": "reinit", "draws": 3}, "random_mask_reinit"])
    write_round(cohort, example.record(more, [1], 1, 1, [("reinit", 2), ("random_mask_reinit", 0)]))
    (cohort / ".tmp-round-002-0123").mkdir()
    (campaign / "notes").mkdir()
    return campaign


@pytest.fixture
def saved(folder):
    return load(folder)


def test_the_tables_hold_every_row_in_order(saved, folder, example):
    assert saved.runs == ["run-a", "run-b"]
    rounds, curves = saved.rounds, saved.curves
    assert list(rounds.columns) == [*ROUNDS.names, "last_step", "steps_to_dense_loss", "untrained_test_accuracy"]
    assert list(curves.columns) == CURVES.names
    # run-b: 2 replicates x 3 rounds x 5 networks; run-a: 2 cohorts of 1 x 2 rounds x 5, and 2 added later
    assert len(rounds) == 2 * 3 * 5 + 2 * 2 * 5 + 2
    assert len(curves) == 2 * len(rounds)
    assert set(rounds["run"]) == {"run-a", "run-b"}
    campaign_order = ["ticket", "reinit", "constant", "random_mask", "random_mask_reinit"]
    for frame in (rounds.assign(step=0), curves):
        ranked = frame.assign(rank=frame["arm"].map(campaign_order.index))
        key = ["run", "replicate", "round", "rank", "draw", "step"]
        pd.testing.assert_frame_equal(ranked, ranked.sort_values(key, ignore_index=True))
        assert not frame.duplicated(["run", "replicate", "round", "arm", "draw", "step"]).any()
    assert rounds["diverged"].dtype == bool
    assert rounds["diverged"].sum() == np.isnan(rounds["early_stop_step"]).sum() > 0
    for name in ("replicate", "round", "draw"):
        assert rounds[name].dtype == curves[name].dtype == np.int64


def test_the_hidden_units_of_what_was_trained_with_them(tmp_path, example):
    campaign = tmp_path / "campaign"
    example.named("run-a").write(campaign / "run-a")
    example.named("run-b").write(campaign / "run-b", example.config(store={"units": True}))
    saved = load(campaign)
    units = saved.units
    assert list(units.columns) == UNITS.names
    assert set(units["run"]) == {"run-b"}
    of_run = saved.curves[saved.curves["run"] == "run-b"].reset_index(drop=True)
    key = ["replicate", "round", "arm", "draw", "step"]
    pd.testing.assert_frame_equal(units[key], of_run[key])
    empty = load(campaign / "run-a").units
    assert list(empty.columns) == UNITS.names
    assert empty.empty


def test_the_callers_frame_is_the_callers_own(saved):
    rounds = saved.rounds
    rounds["extra"] = 1
    rounds.loc[:, "seconds"] = -1.0
    assert list(saved.rounds.columns) == [*ROUNDS.names, "last_step", "steps_to_dense_loss", "untrained_test_accuracy"]
    assert (saved.rounds["seconds"] == 1.5).all()


def test_a_single_runs_folder_loads_too(folder):
    saved = load(folder / "run-b")
    assert saved.runs == ["run-b"]
    assert len(saved.rounds) == 30
    assert saved.config()["model"] == {"name": "mlp", "init": "pytorch", "widths": [4]}
    assert load(str(folder / "run-b")).config()["replicates"] == 2
    saved.config()["model"]["widths"].append(5)
    assert saved.config()["model"]["widths"] == [4]


def test_a_ticket_is_its_mask_and_the_masked_values_it_started_from(saved, example):
    ticket = saved.ticket(replicate=1, round=2, run="run-b")
    mask, theta0 = example.mask(1, 2), example.theta0(1)
    assert (ticket.run, ticket.replicate, ticket.round, ticket.arm, ticket.draw) == (
        "run-b",
        1,
        2,
        "ticket",
        0,
    )
    assert ticket.density == 12 / 20
    assert list(ticket.mask) == ["1.weight", "3.weight"]
    assert ticket.mask["1.weight"].dtype == np.bool_
    assert list(ticket.values) == list(ticket.trained) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    for name, values in ticket.values.items():
        whole = np.where(mask[name], theta0[name], np.float32(0)) if name in mask else theta0[name]
        assert values.dtype == np.float32
        assert values.tobytes() == whole.tobytes()
        np.testing.assert_array_equal(ticket.trained[name], 2 * whole)
    for name, kept in mask.items():
        np.testing.assert_array_equal(ticket.mask[name], kept)


def test_the_repr_of_a_ticket_is_short(saved):
    ticket = saved.ticket(1, 2, "run-b")
    surviving = sum(int(mask.sum()) for mask in ticket.mask.values())
    assert repr(ticket) == (
        f"Ticket(run='run-b', replicate=1, round=2, arm='ticket', draw=0, density={ticket.density:.4f}, "
        f"surviving={surviving}, trained=True)"
    )


def test_every_arm_and_draw_comes_back_as_it_was(saved, example):
    run = example.config(replicates=1, rounds=1)
    more = example.config(arms=["ticket", {"name": "reinit", "draws": 3}, "random_mask_reinit"])
    cases = [(run, "reinit", 0), (run, "reinit", 1), (run, "constant", 0), (run, "random_mask", 0)]
    cases += [(more, "reinit", 2), (more, "random_mask_reinit", 0)]
    for config, arm, draw in cases:
        record, found = example.arm(config, 1, 1, arm, draw), saved.arm(arm, 1, 1, draw, run="run-a")
        assert found.trained is None
        assert found.density == 0.8
        for name, values in record.initial.items():
            assert found.values[name].tobytes() == (values + np.float32(0)).tobytes()
        for name, mask in record.mask.items():
            np.testing.assert_array_equal(found.mask[name], mask)


def test_draw_0_is_found_with_a_suffix_and_without(tmp_path, example):
    for draws in (1, 2):
        run = example.config(arms=["ticket", {"name": "random_mask", "draws": draws}])
        saved = load(example.write(tmp_path / str(draws), run))
        mask = example.arm(run, 0, 1, "random_mask", 0).mask["1.weight"]
        np.testing.assert_array_equal(saved.arm("random_mask", 0, 1).mask["1.weight"], mask)


def test_nothing_aliases(saved):
    ticket = saved.ticket(0, 1, run="run-b")
    for arrays in (ticket.mask, ticket.values, ticket.trained):
        for array in arrays.values():
            array[...] = 0
    again = saved.ticket(0, 1, run="run-b")
    assert all(array.any() for arrays in (again.mask, again.values, again.trained) for array in arrays.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicate": 0, "round": 0}, "say which run; there are run-a, run-b"),
        (
            {"replicate": 0, "round": 0, "run": "run-c"},
            r"run = 'run-c': not in .*; did you mean .*there are run-a, run-b",
        ),
        ({"replicate": 0, "round": 99, "run": "run-b"}, "round = 99: run run-b has rounds 0 to 2"),
        (
            {"replicate": 9, "round": 1, "run": "run-a"},
            "replicate = 9: run run-a, round 1 has replicates 0 to 1",
        ),
    ],
)
def test_a_ticket_that_is_not_there_is_said_with_what_is(saved, arguments, message):
    with pytest.raises(InputError, match=message):
        saved.ticket(**arguments)


@pytest.mark.parametrize(
    ("arm", "draw", "message"),
    [
        (
            "reinits",
            0,
            "arm = 'reinits': run run-b, replicate 0, round 1 has ticket, reinit, .*did you mean 'reinit'",
        ),
        ("reinit", 2, "draw = 2: run run-b, replicate 0, round 1 has draws 0 to 1 of arm 'reinit'"),
        ("constant", 1, "draw = 1: run run-b, replicate 0, round 1 has draw 0 of arm 'constant'"),
    ],
)
def test_an_arm_that_was_not_trained_is_said_with_what_was(saved, arm, draw, message):
    with pytest.raises(InputError, match=message):
        saved.arm(arm, 0, 1, draw, run="run-b")


def test_a_run_without_rounds_has_empty_tables_of_the_right_types(tmp_path, example):
    run = example.config()
    data = {"sha256": "0" * 64, "input_shape": [3], "classes": 2}
    write_run(tmp_path / "run", "run", run.model_dump(mode="json"), data, {}, {})
    saved = load(tmp_path)
    assert len(saved.rounds) == len(saved.curves) == 0
    assert list(saved.rounds.columns) == [*ROUNDS.names, "last_step", "steps_to_dense_loss", "untrained_test_accuracy"]
    assert saved.rounds["diverged"].dtype == bool
    with pytest.raises(InputError, match="round = 0: run run has no rounds"):
        saved.ticket(0, 0)


def test_damage_is_found_before_a_file_is_used(saved_run):
    folder = saved_run / "cohort-000" / "round-001"
    for name, use in [
        ("rounds.parquet", lambda saved: saved.rounds),
        ("curves.parquet", lambda saved: saved.curves),
        ("masks.safetensors", lambda saved: saved.ticket(0, 1)),
        ("weights.safetensors", lambda saved: saved.ticket(0, 1)),
        ("trained.safetensors", lambda saved: saved.ticket(0, 1)),
    ]:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(InputError, match=rf"round-001/{name}: SHA-256 .*, but the manifest says .*tickets verify"):
            use(load(saved_run))
        (folder / name).write_bytes(whole[:-1])
        with pytest.raises(InputError, match=rf"round-001/{name}: [\d,]+ bytes, but the manifest says [\d,]+;"):
            use(load(saved_run))
        (folder / name).unlink()
        with pytest.raises(InputError, match=rf"round-001/{name}: .*(cannot read this file|missing)"):
            use(load(saved_run))
        (folder / name).write_bytes(whole)
        use(load(saved_run))


def test_folders_without_a_good_manifest_are_refused(saved_run):
    path = saved_run / "cohort-000" / "round-001" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    for data, message in [
        (
            sealed_json({**manifest, "schema": 2}),
            r"manifest.json: schema 2, but this version of tickets reads schema 1",
        ),
        (path.read_bytes()[:-5], r"manifest.json: damaged or changed by hand"),
        (b"{", r"manifest.json: damaged, not JSON"),
        (b"[]", r"manifest.json: damaged, it is not a JSON object"),
        (sealed_json({**manifest, "files": None}), r"manifest.json: damaged, files: "),
        (None, r"round-001: no manifest.json, so this folder was not committed"),
    ]:
        path.write_bytes(data) if data is not None else path.unlink()
        with pytest.raises(InputError, match=message):
            _ = load(saved_run).rounds
    (saved_run / "run.json").write_bytes(sealed_json({"schema": 7}))
    with pytest.raises(InputError, match=r"run.json: schema 7, but this version of tickets reads schema 1; use the"):
        load(saved_run)


def test_build_makes_the_network_at_the_masked_values(saved):
    torch = pytest.importorskip("torch")
    ticket = saved.ticket(1, 2, run="run-b")
    before = torch.random.get_rng_state()
    network = ticket.build()
    assert torch.equal(before, torch.random.get_rng_state())
    assert {n: p.detach().numpy().tobytes() for n, p in network.named_parameters()} == {
        name: values.tobytes() for name, values in ticket.values.items()
    }
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(values.any() for values in ticket.values.values())


def test_build_says_when_the_model_is_another_now(saved):
    pytest.importorskip("torch")
    ticket = saved.ticket(1, 2, run="run-b")
    ticket.model["widths"][0] = 5
    with pytest.raises(
        InputError, match=r"no longer makes the network of run run-b: 1.bias is \(4,\) as saved, \(5,\) as"
    ):
        ticket.build()


def test_the_packages_lazy_names():
    assert tickets.load is load
    assert tickets.InputError is InputError
    assert tickets.__version__ == "0.1.0"
    assert {"load", "run", "InputError", "__version__"} <= set(dir(tickets))
    assert set(tickets.__all__) <= set(dir(tickets))
    with pytest.raises(AttributeError, match="module 'tickets' has no attribute 'lode'"):
        _ = tickets.lode
