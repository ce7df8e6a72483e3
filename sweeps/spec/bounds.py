"""What limits of size and compute leave of a space, which only the data's vocabulary tells."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from sweeps.spec.recipe import SHAPE, Assignment, Value
from sweeps.spec.space import SIZED, Space
from tinystories.config import TrialConfig
from tinystories.models import size


def within_limits(space: Space, trial: TrialConfig, vocab_size: int) -> Space:
    """The space with the configurations alone that its limits allow on data of so many tokens.

    Args:
        trial: a full trial, whose values count where a configuration has none.

    Raises:
        ValueError: that is none.
    """
    limits = space.limits
    if limits.max_parameters is None and limits.max_flops is None:
        return space
    names = tuple(name for name in (*SHAPE[:2], *SIZED) if name in space.parameters)

    @cache
    def keeps(values: tuple[Value, ...]) -> bool:
        config = replace(trial, **{"heads": 1, **dict(zip(names, values, strict=True))})  # type: ignore[arg-type]
        model = config.model(vocab_size)
        if limits.max_parameters is not None and size.parameters(model) > limits.max_parameters:
            return False
        return limits.max_flops is None or config.budget * size.flops_per_token(model) <= limits.max_flops

    def allows(assignment: Mapping[str, Value]) -> bool:
        return keeps(tuple(assignment.get(name, getattr(trial, name)) for name in names))

    return replace(space, allows=allows)


def largest_trials(space: Space, trial: TrialConfig) -> Iterator[TrialConfig]:
    """The trials of every shape with the largest values of all else, as far as the limits allow.

    Args:
        trial: a full trial, whose values count where a configuration has none.
    """
    return (replace(trial, **assignment) for assignment in _largest(space))  # type: ignore[arg-type]


def _largest(space: Space) -> Iterator[Assignment]:
    highest = {name: parameter.highest for name, parameter in space.parameters.items() if name not in SHAPE}
    sized = [space.parameters[name] for name in space.sized]
    finite = all(math.isfinite(parameter.count) for parameter in sized)
    for shape in space.shapes:
        if space.allows({**highest, **shape}):
            yield {**highest, **shape}
            continue
        for values in itertools.product(*(parameter.values if finite else [parameter.lowest] for parameter in sized)):
            known = {**highest, **shape, **dict(zip(space.sized, values, strict=True))}
            if space.allows(known):
                yield known
