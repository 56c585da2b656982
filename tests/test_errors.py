import pickle

import pytest

from tickets.errors import InputError, Problems, nearest


def test_an_error_lists_its_problems_one_a_line():
    error = InputError(["a = 1: wrong", "b = 2: wrong"])
    assert error.problems == ("a = 1: wrong", "b = 2: wrong")
    assert str(error) == "a = 1: wrong\nb = 2: wrong"
    assert InputError("a single one").problems == ("a single one",)


def test_an_error_crosses_to_another_process_whole():
    error = pickle.loads(pickle.dumps(InputError(["a", "b"])))
    assert isinstance(error, InputError)
    assert error.problems == ("a", "b")


def test_the_nearest_name_is_offered_and_none_where_none_is_near():
    assert nearest("reinti", ["ticket", "reinit"]) == "; did you mean 'reinit'?"
    assert nearest("zzz", ["ticket", "reinit"]) == ""
    assert nearest("x", []) == ""


def test_problems_of_several_checks_are_raised_together_each_once():
    problems = Problems()
    problems.raise_any()
    for found in (["a", "b"], ["b", "c"]):
        with problems.collected():
            raise InputError(found)
    with pytest.raises(InputError) as raised:
        problems.raise_any()
    assert raised.value.problems == ("a", "b", "c")


def test_only_wrong_input_is_collected():
    problems = Problems()
    with pytest.raises(ZeroDivisionError), problems.collected():
        raise ZeroDivisionError
    problems.raise_any()
