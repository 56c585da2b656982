"""Before a run's first round: is the network that will be trained the network that the user wrote?

A few steps by the run's strategy are compared with a plain loop (stack/plain.py) over new modules from the function
that builds the model: torch.optim, module(x), the run's loss, batches, schedule and seeds. Two networks train,
replicate 0 dense and with half of its weights pruned at random, so that an effect of one on the other is seen as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tickets.catalogue import Pruned, kind_of_stack
from tickets.config import TrainConfig
from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.narrower import with_widths
from tickets.planning import Plan, plan_execution, workload_of
from tickets.process_state import standard_state
from tickets.reference import ShortTraining, reference, refusal
from tickets.stack.likeness import Course, Gap, largest_difference, widest_gap
from tickets.stack.plain import Plain
from tickets.stack.strategies import alternatives, begin
from tickets.stack.workload import Workload
from tickets.users_code import one_line

# How many perturbed plain loops a strategy is compared with; the second number if it fails with the first. A ReLU unit
# whose input is close to 0 is active in about half of the perturbed loops, and inactive in the others; all that depends
# on it changes too.
PERTURBATIONS = (2, 12)


@standard_state()
def guarded(fitted: Fitted, plan: Plan, device: torch.device, workers: int = 1) -> Plan:
    """Compare a plan's strategy with the plain loop, and replace it if the two differ.

    The plan for pruned weights that keep their initial values is compared with networks of that kind, and the plan of a
    run with the arm `small_dense` with the narrowest of its networks too. A plan that was compared before is not
    compared again.

    Parameters
    ----------
    fitted
        The run.
    plan
        How it is to be computed.
    device
        Where it is trained.
    workers
        Processes that share the device.

    Returns
    -------
    Plan
        With the plan's strategy, or the first of its alternatives that trains as the plain loop does. `compared` has
        the result, and the strategies that differed; its `small_dense` those of the narrowest network.

    Raises
    ------
    InputError
        If the plain loop fails, gives other numbers the second time, or keeps state that is neither a parameter nor a
        buffer; or if the strategy of a run that has begun does not train its narrower networks as the plain loop does.
    """
    begun, nested = plan.compared is not None, plan.pruned_initial
    if plan.compared is None:
        plan = _guarded(fitted, plan, device, workers, "zero")
    plan = _with_narrowest(fitted, plan, device, workers, begun)
    if nested is not None and nested.compared is None:
        nested = _guarded(fitted, nested, device, workers, "initial")
    return replace(plan, pruned_initial=nested)


def _with_narrowest(fitted: Fitted, plan: Plan, device: torch.device, workers: int, begun: bool) -> Plan:
    """The plan, compared with the narrowest network of the arm `small_dense` too, if the run has the arm."""
    small, compared = fitted.small_dense, plan.compared or {}
    if small is None or "small_dense" in compared:
        return plan
    widths = small.rounds[-1].widths if small.rounds else (1,) * len(small.family.widths)
    narrowest = with_widths(fitted, small.family, widths)
    # All of its weights are left, so that no strategy takes over.
    found = _guarded(narrowest, replace(plan, takes_over={}, compared=None), device, workers, "zero")
    if found.strategy != plan.strategy:
        if begun:
            raise InputError(
                f"arm small_dense: {plan.strategy}, with which this run began, does not train a network with hidden "
                f"widths {list(widths)} as a plain PyTorch loop does; train the campaign with this "
                "arm in another folder (--out)"
            )
        plan = _guarded(fitted, plan_execution(fitted, device, workers, found.strategy), device, workers, "zero")
    return replace(plan, compared={**(plan.compared or {}), "small_dense": found.compared})


def _guarded(fitted: Fitted, plan: Plan, device: torch.device, workers: int, pruned: Pruned) -> Plan:
    """As `guarded`, for stacks with one rule for pruned weights, by the run's recipe and by those of its arms."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, plan.threads // plan.lanes))  # as it will train
    try:
        trial, wanted = reference(fitted, device, pruned)
        workload = workload_of(fitted, device, plan.threads, pruned)
        by_arms = [
            _Comparison(fitted, workload, own, own.course(Plain, fitted.build), [])
            for own in (trial.by(recipe) for recipe in _recipes(fitted, pruned))
        ]
        return _settled(fitted, plan, workers, _Comparison(fitted, workload, trial, wanted, [], by_arms))
    finally:
        torch.set_num_threads(threads)


def _recipes(fitted: Fitted, pruned: Pruned) -> list[TrainConfig]:
    """The recipes of the arms that train weights with this rule for pruned ones, where they are not the run's."""
    trained = (arm for arm in fitted.run.arms if not arm.entry.learned)
    arms = [fitted.trial.arms[arm.label] for arm in trained if kind_of_stack(arm.entry.pruned) == pruned]
    recipes = dict.fromkeys(recipe for arm in arms for recipe in arm.recipes)
    return [recipe for recipe in recipes if recipe != fitted.run.train]


def _settled(fitted: Fitted, plan: Plan, workers: int, comparison: _Comparison) -> Plan:
    """The plan with the first strategy that passes, and the record of the comparison."""
    passed_over: list[str] = []
    counted = ", ".join(comparison.wanted.counted)
    workload = comparison.workload

    def passes(strategy: str) -> _Result | None:
        result = comparison.of(strategy)
        if result.why is not None:
            passed_over.append(f"{strategy}: {result.why}")
        return result if result.why is None else None

    first = plan.strategy
    result = None if counted else passes(first)
    following = () if result else alternatives(workload, first)
    why = f"{first} does not train this model as a plain PyTorch loop does"
    if counted and following:  # the last strategy alone has a module for each network
        following, why = following[-1:], f"each network has a module of its own, for it changes {counted} as it trains"
        passed_over.append(
            f"{first}: all networks would share one module, whose attribute {counted} changes during training"
        )
    elif counted:
        result = passes(first)
    for strategy in following:
        if result is None:
            result = passes(strategy)
            plan = replace(plan_execution(fitted, workload.device, workers, strategy, workload.pruned), reason=why)
    if result is None:
        end = "evaluating it during training changes the training; an evaluation must have no side effects"
        raise InputError(refusal(fitted, passed_over[-1], end))
    takes_over = {strategy: share for strategy, share in plan.takes_over.items() if passes(strategy) is not None}
    plan = replace(plan, takes_over=takes_over)
    record = {
        "steps": comparison.trial.steps[-1],
        "examples": comparison.trial.recipe.batch_size,
        "largest_difference": _finite(result.largest),
        "nearest_to_its_limit": result.gap.what,
        "share_of_its_limit": _finite(result.gap.share),
        "passed_over": passed_over,
    }
    return replace(plan, compared=record)


@dataclass(frozen=True)
class _Result:
    """Of one strategy.

    why: it does not pass; None if it does. largest: difference of a parameter or buffer at the end.
    """

    why: str | None
    gap: Gap
    largest: float


@dataclass(frozen=True)
class _Comparison:
    """What strategies are compared with.

    wanted: the plain loop. others: the plain loop from perturbed values, as many as were needed so far. by_arms: the
    same by the recipes of arms of the run.
    """

    fitted: Fitted
    workload: Workload
    trial: ShortTraining
    wanted: Course
    others: list[Course]
    by_arms: Sequence[_Comparison] = ()

    def of(self, strategy: str) -> _Result:
        """The result of one strategy: the first recipe's that it does not pass, or that of the widest gap."""
        results = [self._of(strategy)]
        for other in self.by_arms:
            if results[-1].why is not None:
                return results[-1]
            results.append(other.of(strategy))
        if results[-1].why is not None:
            return results[-1]
        return _Result(None, max((one.gap for one in results), key=_share), max(one.largest for one in results))

    def _of(self, strategy: str) -> _Result:
        """The result by this recipe."""
        self.fitted.module.to(self.trial.device)
        try:
            found = self.trial.course(begin, strategy, self.workload, evaluates=True)
        except (Exception, SystemExit) as error:  # whatever a user's own code raises
            return _Result(one_line(error), Gap("all", math.inf, 0.0), math.inf)
        for most in PERTURBATIONS:
            while len(self.others) < most:
                self.others.append(self.trial.course(Plain, self.fitted.build, perturbed_by=len(self.others)))
            gap = widest_gap(found, self.wanted, self.others)
            if not gap.beyond:
                break
        return _Result(_said(gap) if gap.beyond else None, gap, largest_difference(found, self.wanted))


def _share(gap: Gap) -> float:
    return gap.share


def _said(gap: Gap) -> str:
    return f"{gap.what} is {gap.difference:.1g} of its length from a plain loop's; rounding explains {gap.allowed:.1g}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
