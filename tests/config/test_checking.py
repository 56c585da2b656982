"""What is wrong in a table, told in its own words: the lines are matched whole."""
# ruff: noqa: E501 - a line that a user reads is easier to check unbroken

from __future__ import annotations

from typing import Any

import pytest
from problem_lines import MOMENTUM, lines

from tickets import catalogue
from tickets.config import parse_run
from tickets.errors import InputError

ARMS = f'allowed: {", ".join(sorted(catalogue.ARMS))}, or a name of your own with mask or values = "module:function"'
SCORES = f"allowed: {', '.join(sorted(catalogue.SCORES))}, or module:function"
PROBES = f"allowed: {', '.join(sorted(catalogue.PROBES))}, or module:function"
MODELS = "allowed: conv2, conv4, conv6, lenet_300_100, mlp, resnet20, or module:function"
DATA = "allowed: cifar10, circle, digits, fashion_mnist, helix, mnist, mnist1d, relu, or module:function"
INITS = (
    "allowed: constant, dct, glorot_normal, glorot_uniform, hadamard, kaiming_normal, kaiming_uniform, normal, "
    "orthogonal, planted, pytorch, quasi_normal, quasi_orthogonal, sign_constant, uniform, zeros"
)
TOP = (
    "allowed: arms, claim, cohort_size, compute, data, data_folder, fine_tune, model, name, probes, prune, replicates, rewind, rounds, "
    "seed, store, submit, sweep, train, verdict"
)
TRAIN = (
    "allowed: batch_size, class_weights, evaluate_every, evaluate_on, gamma, label_smoothing, learning_rate, loss, "
    "milestones, momentum, optimizer, precision, schedule, steps, warmup_steps, weight_decay"
)
STEP = {"schedule": "step"}
MILESTONES = 'only schedule "step" has them, not "constant"; leave them out or write schedule = "step"'
RANDOM = f"arms that do: {', '.join(sorted(name for name, arm in catalogue.ARMS.items() if arm.random))}"
OPTION = "must be a string, a number, true or false, or a list or table of these (no dates, no nan or inf)"
SLUG = (
    "must be 1 to 100 of the letters a-z and A-Z, digits, '.', '_' and '-', and must not begin with '.' or '-' "
    "(it names a folder)"
)


ONCE = "give an arm once, with draws = N for more draws, or with a label of its own"
LABEL = "must be 1 to 100 of the letters a-z and A-Z, digits, '_' and '-', and must not begin with '-' (it names an arm in tables and files)"
ARM = "allowed: draws, label, name, pruned, start, train"
OWN = {"name": "mine", "mask": "f:g"}

ONE_KEY = [
    ({"train": {"learning_rate": -1}}, "train.learning_rate = -1: must be greater than 0"),
    ({"train": {"learning_rate": 0}}, "train.learning_rate = 0: must be greater than 0"),
    ({"train": {"learning_rate": float("nan")}}, "train.learning_rate = nan: must be a finite number"),
    ({"train": {"learning_rate": float("inf")}}, "train.learning_rate = inf: must be a finite number"),
    ({"train": {"learning_rate": "1"}}, 'train.learning_rate = "1": must be a number, not a string'),
    ({"train": {"learning_rate": True}}, "train.learning_rate = true: must be a number, not true or false"),
    ({"train": {"steps": "many"}}, 'train.steps = "many": must be a whole number, not a string'),
    ({"train": {"steps": True}}, "train.steps = true: must be a whole number, not true or false"),
    ({"train": {"steps": 5.0}}, "train.steps = 5.0: must be a whole number, not a decimal number"),
    ({"train": {"steps": 0}}, "train.steps = 0: must be at least 1"),
    ({"train": {"batch_size": 0}}, "train.batch_size = 0: must be at least 1"),
    ({"train": {"evaluate_every": 0}}, "train.evaluate_every = 0: must be at least 1"),
    ({"train": {"evaluate_on": 0}}, "train.evaluate_on = 0: must be at least 1"),
    ({"train": {"momentum": 1}}, "train.momentum = 1: must be at least 0 and less than 1"),
    ({"train": {"weight_decay": -0.1}}, "train.weight_decay = -0.1: must be at least 0"),
    ({"train": {**STEP, "milestones": [1], "gamma": 0}}, "train.gamma = 0: must be greater than 0 and at most 1"),
    ({"train": {**STEP, "milestones": [1, 2.0]}}, "train.milestones[1] = 2.0: must be a whole number, not a decimal number"),
    ({"train": {**STEP, "milestones": 5}}, "train.milestones = 5: must be a list, not a whole number"),
    ({"train": {"warmup_steps": -1}}, "train.warmup_steps = -1: must be at least 0"),
    ({"train": {"optimizer": "sdg"}}, "train.optimizer = 'sdg': unknown optimizer; did you mean 'sgd'? (allowed: adam, adamw, sgd)"),
    ({"train": {"optimizer": 3}}, "train.optimizer = 3: must be a string, not a whole number (allowed: adam, adamw, sgd)"),
    ({"train": {"precision": "fp16"}}, "train.precision = 'fp16': unknown precision; did you mean 'bf16'? (allowed: bf16, float32, tf32)"),
    ({"train": {"schedule": "x"}}, "train.schedule = 'x': unknown schedule (allowed: constant, cosine, step)"),
    ({"train": {"steps_": 1}}, f"train.steps_: unknown key; did you mean 'steps'? ({TRAIN})"),
    ({"train": {"rounds": 3}}, f"train.rounds: unknown key; 'rounds' is a key of the file's top: write it above the first [table] ({TRAIN})"),
    ({"train": {'odd "key"\n': 3}}, f'train."odd \\"key\\"\\n": unknown key ({TRAIN})'),
    ({"train": 4}, "train = 4: must be a table, not a whole number"),
    ({"prune": {"rat": 0.1}}, "prune.rat: unknown key; did you mean 'rate'? (allowed: conv_rate, densities, density, exclude, include, masks_from, output_rate, rate, scope, score)"),
    ({"prune": {"rate": 1.5}}, "prune.rate = 1.5: must be between 0 and 1"),
    ({"prune": {"output_rate": -0.5}}, "prune.output_rate = -0.5: must be between 0 and 1"),
    ({"prune": {"conv_rate": 2}}, "prune.conv_rate = 2: must be between 0 and 1"),
    ({"prune": {"density": 0}, "rounds": 1}, "prune.density = 0: must be greater than 0 and at most 1"),
    ({"prune": {"score": "magnitud"}}, f"prune.score = 'magnitud': unknown score; did you mean 'magnitude'? ({SCORES})"),
    ({"prune": {"score": "a:"}}, f"prune.score = 'a:': not of the form module:function ({SCORES})"),
    ({"prune": {"scope": "locl"}}, "prune.scope = 'locl': unknown scope; did you mean 'global'? (allowed: global, layer)"),
    ({"prune": {"exclude": "fc"}}, 'prune.exclude = "fc": must be a list, not a string'),
    ({"prune": {"exclude": [1]}}, "prune.exclude[0] = 1: must be a string, not a whole number"),
    ({"rewind": {"step": -1}}, "rewind.step = -1: must be at least 0"),
    ({"store": {"trained": "some"}}, "store.trained = 'some': unknown choice; did you mean 'none'? (allowed: all, none, ticket)"),
    ({"compute": {"strategy": "loop"}}, "compute.strategy = 'loop': unknown strategy; did you mean 'looped'? (allowed: auto, layered, looped, sparse, vectorised)"),
    ({"compute": {"memory_gib": 0}}, "compute.memory_gib = 0: must be greater than 0"),
    ({"train": {"loss": "msee"}}, "train.loss = 'msee': unknown loss; did you mean 'mse'? (allowed: cross_entropy, mse, mse_one_hot, or module:function)"),
    ({"train": {"loss": "a:b:c"}}, "train.loss = 'a:b:c': not of the form module:function (allowed: cross_entropy, mse, mse_one_hot, or module:function)"),
    ({"train": {"label_smoothing": 1}}, "train.label_smoothing = 1: must be at least 0 and less than 1"),
    ({"train": {"class_weights": [1, 0]}}, "train.class_weights[1] = 0: must be greater than 0"),
    ({"train": {"class_weights": 2}}, "train.class_weights = 2: must be a list, not a whole number"),
    ({"compute": {"threads": 0}}, "compute.threads = 0: must be at least 1"),
    ({"seed": -1}, "seed = -1: must be at least 0 and less than 2**63"),
    ({"seed": 2**63}, "seed = 9223372036854775808: must be at least 0 and less than 2**63"),
    ({"replicates": 0}, "replicates = 0: must be at least 1"),
    ({"rounds": -1}, "rounds = -1: must be at least 0"),
    ({"cohort_size": 0}, "cohort_size = 0: must be at least 1"),
    ({"name": 3}, "name = 3: must be a string, not a whole number"),
    ({"name": "../x"}, f'name = "../x": {SLUG}'),
    ({"name": ""}, f'name = "": {SLUG}'),
    ({"name": "a b"}, f'name = "a b": {SLUG}'),
    ({"seeds": 3}, f"seeds: unknown key; did you mean 'seed'? ({TOP})"),
    ({"learning_rate": 1}, f"learning_rate: unknown key; did you mean 'train.learning_rate'? ({TOP})"),
    ({"step": 1}, f"step: unknown key; did you mean 'rewind.step'? ({TOP})"),
    ({"data": "mnsit"}, f"data = 'mnsit': unknown data set; did you mean 'mnist'? ({DATA})"),
    ({"data": {"name": "mnsit"}}, f"data.name = 'mnsit': unknown data set; did you mean 'mnist'? ({DATA})"),
    ({"data": {"validation": 5}}, f"data.name: missing; name a data set ({DATA})"),
    ({"data": {"name": 5}}, f"data.name = 5: must be a string, not a whole number ({DATA})"),
    ({"data": 5}, "data = 5: must be a name or a table, not a whole number"),
    ({"data": {"name": "mnist", "validation": 0}}, "data.validation = 0: must be at least 1"),
    ({"data": {"name": "mnist", "augment": True}}, "data.augment: unknown key; it is an option of cifar10 (allowed: name, normalise, validation)"),
    ({"data": {"name": "cifar10", "augment": 1}}, "data.augment = 1: must be true or false, not a whole number"),
    ({"data": {"name": "a:b", "k": float("nan")}}, f"data.k = nan: {OPTION}"),
    ({"data": {"name": "a:b", "k": [{"l": None}]}}, f'data.k = [{{"l": null}}]: {OPTION}'),
    ({"data": {"name": "a:b", "folder": "d"}}, 'data.folder = "d": cannot be an option: it is the data folder, given by --data, data_folder or TICKETS_DATA'),
    ({"model": "a:b:c"}, f"model = 'a:b:c': not of the form module:function ({MODELS})"),
    ({"model": {"name": "1a:b"}}, f"model.name = '1a:b': not of the form module:function ({MODELS})"),
    ({"model": "module"}, f"model = 'module': unknown model ({MODELS})"),
    ({"model": {"name": "mlp", "width": [5]}}, "model.width: unknown key; did you mean 'widths'? (allowed: bias, dropout, init, name, parametrisation, widths)"),
    ({"model": {"name": "mlp", "widths": [5, 0]}}, "model.widths[1] = 0: must be at least 1"),
    ({"model": {"name": "mlp", "widths": 5}}, "model.widths = 5: must be a list, not a whole number"),
    ({"model": {"name": "mlp", "init": "gloro"}}, f"model.init = 'gloro': unknown init; did you mean 'glorot_normal'? ({INITS})"),
    ({"model": {"name": "f:g", "init": {"name": "zero"}}}, f"model.init.name = 'zero': unknown init; did you mean 'zeros'? ({INITS})"),
    ({"model": {"name": "mlp", "init": {"value": 0.5}}}, f"model.init.name: missing; name an init ({INITS})"),
    ({"model": {"name": "mlp", "init": {"name": ["dct"]}}}, f'model.init.name = ["dct"]: must be a string, not a list ({INITS})'),
    ({"model": {"name": "mlp", "init": 0.5}}, "model.init = 0.5: must be a name or a table, not a decimal number"),
    ({"model": {"name": "mlp", "init": "f:g"}}, f"model.init = 'f:g': unknown init ({INITS})"),
    ({"model": {"name": "f:g", "init": {"name": "constant", "valu": 1}}}, "model.init.valu: unknown key; did you mean 'value'? (allowed: biases, name, value)"),
    ({"model": {"name": "mlp", "init": {"name": "zeros", "value": 1}}}, "model.init.value: unknown key; it is an option of constant (allowed: biases, name)"),
    ({"model": {"name": "mlp", "init": {"name": "constant", "value": "1"}}}, 'model.init.value = "1": must be a number, not a string'),
    ({"model": {"name": "mlp", "init": {"name": "constant", "value": float("inf")}}}, "model.init.value = inf: must be a finite number"),
    ({"model": {"name": "mlp", "init": {"name": "sign_constant", "scale": 0}}}, "model.init.scale = 0: must be greater than 0"),
    ({"model": {"name": "mlp", "init": {"name": "uniform", "scale": -1}}}, "model.init.scale = -1: must be greater than 0"),
    ({"model": {"name": "mlp", "init": {"name": "normal", "scale": True}}}, "model.init.scale = true: must be a number, not true or false"),
    ({"model": {"name": "mlp", "init": {"name": "orthogonal", "gain": 0}}}, "model.init.gain = 0: must be greater than 0"),
    ({"model": {"name": "mlp", "init": {"name": "dct", "biases": "model_"}}}, "model.init.biases = 'model_': unknown choice; did you mean 'model'? (allowed: model, scaled, zeros)"),
    ({"model": {"name": "mlp", "init": {"name": "dct", "biases": 0}}}, "model.init.biases = 0: must be a string, not a whole number (allowed: model, scaled, zeros)"),
    ({"model": {"name": "conv4", "dropout": 1}}, "model.dropout = 1: must be at least 0 and less than 1"),
    ({"model": {"name": "lenet_300_100", "widths": [5]}}, "model.widths: unknown key; it is an option of mlp, conv2, conv4, conv6 (allowed: init, name)"),
    ({"arms": ["ticket", "x:y", "reinit"]}, f"arms[1] = 'x:y': unknown arm ({ARMS})"),
    ({"arms": ["ticket", "reinit", "reinits"]}, f"arms[2] = 'reinits': unknown arm; did you mean 'reinit'? ({ARMS})"),
    ({"arms": ["ticket", {"name": "shufle"}]}, f"arms[1].name = 'shufle': unknown arm; did you mean 'shuffle'? ({ARMS})"),
    ({"arms": ["ticket", {"name": "reinit", "drws": 3}]}, f"arms[1].drws: unknown key; did you mean 'draws'? ({ARM})"),
    ({"arms": ["ticket", {"draws": 3}]}, f"arms[1].name: missing; name an arm ({ARMS})"),
    ({"arms": ["ticket", 3]}, "arms[1] = 3: must be a name or a table, not a whole number"),
    ({"arms": "ticket"}, 'arms = "ticket": must be a list, not a string'),
    ({"arms": ["ticket", {"name": "reinit", "draws": 0}]}, "arms[1].draws = 0: must be at least 1"),
    ({"arms": ["ticket", {"name": "reinit", "start": 5}]}, "arms[1].start = 5: must be 0: start = 0 gives the full schedule; no other start is offered"),
    ({"arms": ["ticket", {"name": "reinit", "start": False}]}, "arms[1].start = false: must be a whole number, not true or false"),
    *(
        ({"arms": ["ticket", {"name": "reinit", "label": label}]}, f'arms[1].label = "{label}": {LABEL}')
        for label in ("reinit.draw1", "a b", "", "-x", "a/b")
    ),
    ({"arms": ["ticket", {"name": "reinit", "label": 3}]}, "arms[1].label = 3: must be a string, not a whole number"),
    ({"arms": ["ticket", {"name": "constant", "biases": "none"}]}, "arms[1].biases = 'none': unknown choice (allowed: model, zeros)"),
    ({"prune": {"include": "gru.*"}}, 'prune.include = "gru.*": must be a list, not a string'),
    ({"arms": ["ticket", {"name": "constant", "value": "x"}]}, 'arms[1].value = "x": must be a number, not a string'),
    ({"arms": ["ticket", {"name": "constant", "valu": 1}]}, "arms[1].valu: unknown key; did you mean 'value'? (allowed: biases, draws, label, name, pruned, start, train, value)"),
    ({"arms": ["ticket", {"name": "constant", "value": float("nan")}]}, "arms[1].value = nan: must be a finite number"),
    ({"arms": ["ticket", {"name": "reinit", "pruned": "one"}]}, "arms[1].pruned = 'one': unknown choice (allowed: initial, zero, zero_if_shrunk)"),
    ({"arms": ["ticket", {"name": "reinit", "mask": "f:g"}]}, f"arms[1].mask: unknown key; only an arm with rules of your own has it, and reinit is an arm of the catalogue: give yours another name ({ARM})"),
    ({"arms": ["ticket", {"arm": "reinit"}]}, [f"arms[1].name: missing; name an arm ({ARMS})", "arms[1].arm: unknown key; did you mean 'name'? (allowed: biases, draws, invert, label, mask, name, pruned, rescale, role, samples, scope, score, shuffle, start, train, value, values, weights)"]),
    ({"arms": ["ticket", {**OWN, "mask": "round_mask"}]}, 'arms[1].mask = "round_mask": must have the form module:function'),
    ({"arms": ["ticket", {**OWN, "values": 3}]}, "arms[1].values = 3: must be a string, not a whole number"),
    ({"arms": ["ticket", {**OWN, "role": "ticket"}]}, "arms[1].role = 'ticket': unknown role (allowed: control, measurement)"),
    ({"arms": ["ticket", {**OWN, "name": "a b"}]}, f'arms[1].name = "a b": {LABEL}'),
    ({"arms": ["ticket", {**OWN, "scale": [float("inf")]}]}, f"arms[1].scale = [Infinity]: {OPTION}"),
    ({"arms": ["ticket", {"mask": "f:g"}]}, "arms[1].name: missing; name an arm (" + ARMS + ")"),
    ({"probes": "units"}, 'probes = "units": must be a list, not a string'),
    ({"probes": ["unit"]}, f"probes[0] = 'unit': unknown probe; did you mean 'units'? ({PROBES})"),
    ({"probes": [3]}, "probes[0] = 3: must be a name or a table, not a whole number"),
    ({"probes": ["units", {"points": 3}]}, f"probes[1].name: missing; name a probe ({PROBES})"),
    ({"probes": [{"name": "units", "points": 3}]}, "probes[0].points: unknown key; it is an option of connectivity (allowed: name)"),
    ({"probes": [{"name": "f:g", "points": float("nan")}]}, f"probes[0].points = nan: {OPTION}"),
    ({"prune": {"score": {"name": "magnitude", "scale": 2}}}, "prune.score.scale: unknown key (allowed: name)"),
    ({"prune": {"score": {"name": "magnitud"}}}, f"prune.score.name = 'magnitud': unknown score; did you mean 'magnitude'? ({SCORES})"),
    ({"prune": {"score": {"scale": 2}}}, f"prune.score.name: missing; name a score ({SCORES})"),
    ({"prune": {"score": 3}}, "prune.score = 3: must be a name or a table, not a whole number"),
    ({"prune": {"score": {"name": "f:g", "scale": [None]}}}, f"prune.score.scale = [null]: {OPTION}"),
    ({"train.steps": [5]}, f'"train.steps": unknown key; write steps = ... below the line [train] ({TOP})'),
]  # fmt: skip

TOGETHER = [
    ({"train": {"momentum": 0.9}}, f"train.momentum = 0.9: {MOMENTUM}"),
    ({"train": {"schedule": "step"}}, 'train.milestones = []: schedule "step" needs at least one step to lower the learning rate at, e.g. milestones = [500]'),
    ({"train": {"milestones": [5]}}, f"train.milestones = [5]: {MILESTONES}"),
    ({"train": {**STEP, "milestones": [5, 5]}}, "train.milestones = [5, 5]: must increase from each step to the next"),
    ({"train": {**STEP, "milestones": [5, 1000]}}, "train.milestones = [5, 1000]: every milestone must be less than train.steps = 1000"),
    ({"train": {"loss": "mse", "label_smoothing": 0.1}}, 'train.label_smoothing = 0.1: only loss "cross_entropy" takes label smoothing, not "mse"; leave it out'),
    ({"train": {"loss": "a:b", "class_weights": [1, 2]}}, 'train.class_weights = [1, 2]: only loss "cross_entropy" takes class weights, not "a:b"; leave them out'),
    ({"train": {"warmup_steps": 1001}}, "train.warmup_steps = 1001: must be at most train.steps = 1000"),
    ({"rewind": {"step": 1000}}, "rewind.step = 1000: must be less than train.steps = 1000"),
    ({"prune": {"density": 0.1, "rate": 0.2}, "rounds": 1}, "prune.rate = 0.2: does not go with prune.density = 0.1, which means rate = 0.9; give only one"),
    ({"prune": {"density": 0.1}}, "prune.density = 0.1: prunes once, so it needs rounds = 1, not 16; with more rounds give prune.rate instead"),
    ({"arms": ["reinit"]}, 'arms = ["reinit"]: must hold "ticket": every other arm is compared with it'),
    ({"arms": []}, 'arms = []: must hold "ticket": every other arm is compared with it'),
    ({"arms": ["ticket", "reinit", "reinit"]}, f'arms[2] = "reinit": is there already as arms[1]; {ONCE} (label = "reinit_2")'),
    ({"arms": ["ticket", "reinit", {"name": "reinit"}]}, f'arms[2].name = "reinit": is there already as arms[1]; {ONCE} (label = "reinit_2")'),
    ({"arms": ["ticket", {"name": "reinit", "label": "a"}, {"name": "shuffle", "label": "a"}]}, f'arms[2].label = "a": is there already as arms[1]; {ONCE} (label = "shuffle_2")'),
    ({"arms": ["ticket", {"name": "reinit", "label": "a"}, {"name": "shuffle", "label": "A"}]}, 'arms[2].label = "A": differs from the label of arms[1] (a) in capital letters alone; give another label'),
    ({"arms": ["ticket", {**OWN, "name": "Ticket"}]}, 'arms[1].name = "Ticket": differs from the label of arms[0] (ticket) in capital letters alone; give another name'),
    ({"arms": ["ticket", {"name": "reinit", "label": "Dense"}]}, 'arms[1].label = "Dense": is the name of the ticket of round 0; give another label'),
    ({"arms": ["ticket", {"name": "reinit", "label": "ticket"}]}, 'arms[1].label = "ticket": is the name of an arm of the catalogue; give another label, e.g. reinit_2'),
    ({"arms": ["ticket", {"name": "reinit", "label": "shuffle"}]}, 'arms[1].label = "shuffle": is the name of an arm of the catalogue; give another label, e.g. reinit_2'),
    ({"arms": ["ticket", {"name": "reinit", "label": "dense"}]}, 'arms[1].label = "dense": is the name of the ticket of round 0; give another label'),
    ({"arms": [{"name": "ticket", "label": "winner"}]}, 'arms[0].label = "winner": the ticket is called "ticket" in every table; leave label out'),
    ({"arms": ["ticket", {"name": "reinit", "biases": "zeros"}]}, f"arms[1].biases: unknown key; it is an option of constant, sign_constant, random_sign_constant ({ARM})"),
    ({"arms": [{"name": "ticket", "start": 0}]}, "arms[0].start = 0: only a control can start at step 0; the ticket starts at rewind.step; leave start out"),
    ({"arms": ["ticket", {"name": "reinit", "value": 0.5}]}, f"arms[1].value: unknown key; it is an option of constant ({ARM})"),
    ({"arms": [{"name": "ticket", "pruned": "initial"}]}, 'arms[0].pruned = "initial": the ticket\'s pruned weights are 0; only other arms have a choice; leave pruned out'),
    ({"arms": ["ticket", {**OWN, "name": "dense"}]}, 'arms[1].name = "dense": is the name of the ticket of round 0; give another name'),
    ({"arms": ["ticket", OWN, OWN]}, f'arms[2].name = "mine": is there already as arms[1]; {ONCE} (label = "mine_2")'),
    ({"arms": ["ticket", {**OWN, "role": "measurement"}], "verdict": {"controls": ["mine"]}}, 'verdict.controls = ["mine"]: mine is the ticket trained again, which measures noise; controls among this campaign\'s arms: none'),
    ({"probes": ["units", "units"]}, 'probes[1] = "units": is there already as probes[0]; each probe is measured once; leave one out'),
    ({"probes": ["a:f", {"name": "b:f"}]}, 'probes[1].name = "b:f": is there already as probes[0]; both tables would be f.parquet; give the function another name'),
    ({"probes": ["a:overlap", "overlap"]}, 'probes[1] = "overlap": is there already as probes[0]; both tables would be overlap.parquet; give the function another name'),
    ({"probes": ["a:units"], "store": {"units": True}}, 'probes[0] = "a:units": its table would be that of the probe units (store.units = true); give the function another name'),
    ({"probes": ["a:curves"]}, 'probes[0] = "a:curves": its table would be curves.parquet, which is taken; give the function another name'),
    *(
        ({"arms": ["ticket", {"name": name, "draws": 2}]}, f"arms[1].draws = 2: must be 1: {name} draws nothing at random ({RANDOM})")
        for name in ("constant", "sign_constant")
    ),
    ({"arms": [{"name": "ticket", "draws": 2}]}, f"arms[0].draws = 2: must be 1: ticket draws nothing at random ({RANDOM})"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "line"), [*ONE_KEY, *TOGETHER])
def test_one_mistake_gives_one_line(changed: dict[str, Any], line: str | list[str]) -> None:
    assert lines(**changed) == (line if isinstance(line, list) else [line])


def test_keys_that_are_needed() -> None:
    with pytest.raises(InputError) as caught:
        parse_run({})
    assert caught.value.problems == (
        'name: missing; give the campaign a name, e.g. name = "first-try" (its folder gets the same)',
        f"data: missing; name a data set ({DATA})",
        f"model: missing; name a model ({MODELS})",
    )


def test_every_problem_at_once_and_rules_are_judged_beside_other_problems() -> None:
    train = {
        "learning_rate": -1,
        "momentum": 0.9,
        "milestones": [5, True],
        "steps": "many",
        "warmup_steps": 9999,
    }
    prune = {"rat": 1, "density": 0.5, "rate": 0.3}
    arms = ["constant", {"name": "reinit", "draws": "x", "value": 3}, "random_mask", "random_mask"]
    # What hangs on train.steps, which is no number, cannot be judged: warmup_steps, the milestones, rewind.step.
    assert lines(train=train, prune=prune, arms=arms, rewind={"step": 5000}) == [
        'arms[1].draws = "x": must be a whole number, not a string',
        f"arms[1].value: unknown key; it is an option of constant ({ARM})",
        "train.learning_rate = -1: must be greater than 0",
        'train.steps = "many": must be a whole number, not a string',
        "train.milestones[1] = true: must be a whole number, not true or false",
        "prune.rat: unknown key; did you mean 'rate'? (allowed: conv_rate, densities, density, exclude, include, masks_from, output_rate, rate, scope, score)",
        f"train.momentum = 0.9: {MOMENTUM}",
        "prune.rate = 0.3: does not go with prune.density = 0.5, which means rate = 0.5; give only one",
        "prune.density = 0.5: prunes once, so it needs rounds = 1, not 16; with more rounds give prune.rate instead",
        f'arms[3] = "random_mask": is there already as arms[2]; {ONCE} (label = "random_mask_2")',
        'arms = ["constant", {"name": "reinit", "draws": "x", "value": 3}...: must hold "ticket": every other arm is compared with it',
    ]  # fmt: skip


def test_every_problem_of_an_init_with_those_of_its_model() -> None:
    init = {"name": "constant", "value": "x", "biases": "none", "scale": 1}
    assert lines(model={"name": "mlp", "widths": [0], "init": init}) == [
        "model.init.biases = 'none': unknown choice (allowed: model, scaled, zeros)",
        'model.init.value = "x": must be a number, not a string',
        "model.init.scale: unknown key; it is an option of sign_constant, uniform, normal, orthogonal, dct, hadamard, quasi_normal, quasi_orthogonal (allowed: biases, name, value)",
        "model.widths[0] = 0: must be at least 1",
    ]


def test_an_unknown_arm_may_have_been_meant_as_the_ticket() -> None:
    assert lines(arms=["tickt", "reinit"]) == [f"arms[0] = 'tickt': unknown arm; did you mean 'ticket'? ({ARMS})"]


def test_long_values_are_cut() -> None:
    (line,) = lines(name="n" * 200)
    assert line == f'name = "{"n" * 56}...: {SLUG}'
