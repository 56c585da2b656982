"""Options of users' functions, checked by the functions' signatures."""

from __future__ import annotations

import pytest

from tickets.binding import bound, shared_options, with_options
from tickets.errors import InputError


def score(candidate, /, scale, *, power=2):
    return candidate, scale, power


def masks(origin, share=0.5, *, seed=0):
    return origin, share, seed


def values(origin, mask, size, share=0.1):
    return origin, mask, size, share


def anything(first, **more):
    return first, more


def test_a_function_gets_its_options_and_the_program_its_arguments():
    assert with_options(score, "prune.score", "f:score", {"scale": 3}, positional=1)("c") == ("c", 3, 2)
    assert with_options(anything, "probes", "f:any", {"a": 1}, positional=1)("c") == ("c", {"a": 1})
    assert with_options(print, "probes", "print", {}, positional=1) is not None


def test_each_of_two_functions_gets_the_options_that_it_has():
    options = {"share": 0.2, "size": 3, "seed": 7}
    mask_rule, value_rule = shared_options("arms.mine", "mine", options, (masks, 1), (values, 2))
    assert mask_rule("o") == ("o", 0.2, 7)
    assert value_rule("o", "m") == ("o", "m", 3, 0.2)


def test_each_call_gets_copies():
    def changes(first, kept):
        kept.append(first)
        return kept

    made = with_options(changes, "probes", "f:changes", {"kept": []}, positional=1)
    assert (made(1), made(2)) == ([1], [2])


def test_every_problem_is_named_with_the_nearest_option():
    with pytest.raises(InputError) as caught:
        with_options(score, "prune.score", "f:score", {"scal": 3, "candidate": 1}, positional=1)
    assert caught.value.problems == (
        "prune.score.scal = 3: 'f:score' has no such option; did you mean 'scale'? (allowed: scale, power)",
        "prune.score.candidate = 1: 'f:score' gets 'candidate' from the program; leave it out",
        "prune.score.scale: 'f:score' needs this option and it is not given (allowed: scale, power)",
    )


def test_an_option_that_neither_function_has_and_one_that_one_needs():
    with pytest.raises(InputError) as caught:
        shared_options("arms.mine", "mine", {"shre": 1, "mask": 2}, (masks, 1), (values, 2))
    allowed = "(allowed: share, seed, size)"
    assert caught.value.problems == (
        f"arms.mine.shre = 1: 'mine' has no such option; did you mean 'share'? {allowed}",
        "arms.mine.mask = 2: 'mine' gets 'mask' from the program; leave it out",
        f"arms.mine.size: 'mine' needs this option and it is not given {allowed}",
    )


def test_what_the_program_gives_by_name_is_no_option():
    def made(shape, depth, folder="default"):
        return shape, depth, folder

    given = {"shape": (3,), "folder": None, "more": 1}
    assert bound(made, "model", "f:g", {"depth": 2}, given)() == ((3,), 2, "default")
    with pytest.raises(InputError, match=r"model\.shape = 1: 'f:g' gets 'shape' from the program; leave it out"):
        bound(made, "model", "f:g", {"depth": 2, "shape": 1}, {"shape": (3,)})
