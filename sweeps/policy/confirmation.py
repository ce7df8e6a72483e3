"""Confirmation: the best configurations again, with new seeds, so that the winner of many trials is not a lucky one."""

from itertools import count, islice

from sweeps.policy.verdicts import Start
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec
from sweeps.trials import Trials, ranked


def wanted(spec: Spec, trials: Trials) -> list[Start]:
    """The confirming trials that a finished search still asks for, those of the best configuration first."""
    if spec.confirm is None:
        return []
    known = [trial for trial in trials.values() if trial.state != "abandoned"]
    search = [trial for trial in known if trial.stage == "search"]
    best: dict[tuple[object, ...], Assignment] = {}
    for trial in ranked(search):
        if len(best) < spec.confirm.top:
            searched = {name: trial.trained[name] for name in spec.space.parameters}
            best.setdefault(spec.space.identity(searched), searched)
    used = {(spec.space.identity(trial.trained), spec.trial_config(trial.trained).seed) for trial in known}
    confirming = [trial for trial in known if trial.stage == "confirm"]
    starts = []
    for identity, assignment in best.items():
        begun = sum(spec.space.identity(trial.trained) == identity for trial in confirming)
        first = spec.trial_config(assignment).seed
        new = (seed for seed in count(first + 1) if (identity, seed) not in used)
        starts += [
            Start(assignment={**assignment, "seed": seed}, stage="confirm")
            for seed in islice(new, max(0, spec.confirm.seeds - begun))
        ]
    return starts
