"""Samplers by the name that a sweep file gives them: which there are, what they can do, and how they are made."""

import importlib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna import samplers
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection

from sweeps.policy.parameters import Numbers
from sweeps.spec.schema import Spec
from sweeps.spec.space import Suggester
from sweeps.trials import DIVERGED_LOSS

OWN = ("bayes", "random", "grid")
"""Methods of this project, which need no study."""
STARTUP = 10
"""Trials that TPE draws evenly before it follows results: Optuna's default, but for any number of workers."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler of Optuna, and what it can do."""

    kind: type[BaseSampler]
    stateful: bool = True
    """Whether one instance must be told of all trials in turn; otherwise each proposal gets a fresh one."""
    numbers: bool = False
    """Whether it must be asked for the same numbers in every trial, and knows no lists."""
    objectives: int = 2
    """The most that it can follow."""
    pruned: bool = True
    """Whether it can do with trials that stop early."""
    worst: float = DIVERGED_LOSS
    """What it is told of a trial that diverged."""
    startup: int = 0
    """Trials that are drawn evenly before it is asked."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its constructor, besides the seed."""

    def with_arguments(self, arguments: Mapping[str, Any]) -> "Sampler":
        """This sampler, with arguments of its constructor besides the seed."""
        pruned = self.pruned or bool(arguments.get("consider_pruned_trials"))
        if not self.startup:
            return replace(self, arguments=arguments, pruned=pruned)
        startup = arguments.get("n_startup_trials", self.startup)
        return replace(self, arguments={**arguments, "n_startup_trials": 0}, pruned=pruned, startup=startup)

    def make(self, seed: int) -> BaseSampler:
        """An instance."""
        seeded = {"seed": seed} if "seed" in _parameters(self.kind) else {}
        with quiet():
            return self.kind(**self.arguments, **seeded)

    def reader(self, trial: optuna.Trial) -> Suggester:
        """What a space asks for a configuration."""
        return Numbers(trial) if self.numbers else trial


BUILTIN = {
    "tpe": Sampler(kind=samplers.TPESampler, stateful=False, startup=STARTUP),
    # It is fitted to the values themselves, and takes an infinite one for the worst that is finite.
    "gp": Sampler(kind=samplers.GPSampler, stateful=False, numbers=True, pruned=False, worst=math.inf),
    "cmaes": Sampler(kind=samplers.CmaEsSampler, numbers=True, objectives=1, pruned=False),
    "qmc": Sampler(kind=samplers.QMCSampler, numbers=True),
    "nsga2": Sampler(kind=samplers.NSGAIISampler, pruned=False),
    "nsga3": Sampler(kind=samplers.NSGAIIISampler, pruned=False),
}
"""Optuna's samplers by name, and what they can do as version 5 has them."""
PACKAGES = {"gp": "torch", "cmaes": "cmaes"}
"""What some of them import when they are asked."""


def find(spec: Spec) -> Sampler:
    """The sampler of Optuna that a sweep names.

    Raises:
        ValueError: there is none of that name.
    """
    sampler = BUILTIN.get(spec.method) or Sampler(kind=_imported(spec.method))
    return sampler.with_arguments(getattr(spec, "sampler", {}))


def _imported(name: str) -> type[BaseSampler]:
    module, separator, attribute = name.partition(":")
    if not separator:
        allowed = ", ".join((*OWN, *BUILTIN))
        raise ValueError(f"method {name!r} is not one of {allowed}, or module:Class of another Optuna sampler")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module that is imported may raise anything
        raise ValueError(f"method {name}: cannot be imported: {_line(error)}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseSampler)):
        raise ValueError(f"method {name}: {attribute} is not a subclass of optuna.samplers.BaseSampler")
    return kind


def check(spec: Spec) -> None:
    """Refuse beforehand what the sweep's method cannot do.

    Raises:
        ValueError: one line that names what is allowed.
    """
    arguments: Mapping[str, Any] = getattr(spec, "sampler", {})
    if spec.method in OWN:
        _check_own(spec, arguments)
        return
    sampler = find(spec)
    package = PACKAGES.get(spec.method)
    if package and importlib.util.find_spec(package) is None:
        raise ValueError(f"method {spec.method} needs the package {package}: pip install {package}")
    if spec.pareto and sampler.objectives < 2:
        _refuse_two_objectives(spec)
    if spec.early_terminate and not sampler.pruned:
        raise ValueError(
            f"method {spec.method} learns from completed trials alone, and early_terminate stops most of them; "
            "leave early_terminate out, or use bayes, random, grid, tpe or qmc"
        )
    _check_arguments(sampler)
    _check_question(spec, sampler)


def _check_own(spec: Spec, arguments: Mapping[str, Any]) -> None:
    if arguments:
        raise ValueError(f"sampler {dict(arguments)}: method {spec.method} takes no arguments; leave sampler out")
    if spec.method == "bayes" and spec.pareto:
        _refuse_two_objectives(spec)
    if spec.method == "grid" and math.isinf(spec.space.size):
        endless = [name for name, parameter in spec.space.parameters.items() if math.isinf(parameter.count)]
        raise ValueError(f"method grid: {endless[0]} has no end of values; list them under values, or use random")


def _refuse_two_objectives(spec: Spec) -> None:
    allowed = "random, grid, tpe, gp, qmc, nsga2, nsga3"
    raise ValueError(f"method {spec.method} knows one objective; with pareto {spec.pareto}, allowed: {allowed}")


def _check_arguments(sampler: Sampler) -> None:
    """Refuse arguments that a sampler does not have, or does not take."""
    parameters = _parameters(sampler.kind)
    if "seed" in sampler.arguments:
        raise ValueError("sampler.seed: all draws follow from the sweep's own seed; set that instead")
    known = [name for name in parameters if name not in ("self", "seed")]
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in sampler.arguments:
        if name not in known and not anything:
            allowed = ", ".join(known) or "none"
            raise ValueError(f"sampler.{name} is not an argument of {sampler.kind.__name__}; allowed: {allowed}")
    if not isinstance(sampler.startup, int) or sampler.startup < 0:
        raise ValueError(f"sampler.n_startup_trials {sampler.startup!r} must be a whole number from 0 on")
    try:
        sampler.make(seed=0)
    except Exception as error:  # a constructor may raise anything, as it is anyone's
        raise ValueError(f"sampler {dict(sampler.arguments)}: {_line(error)}") from error


def _check_question(spec: Spec, sampler: Sampler) -> None:
    """Ask it twice: some samplers refuse only then what they are asked for, or a second objective."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objectives = 2 if spec.pareto else 1
    try:
        with quiet():
            study = optuna.create_study(directions=[StudyDirection.MINIMIZE] * objectives, sampler=sampler.make(seed=0))
            for _ in range(2):
                trial = study.ask()
                spec.space.draw(sampler.reader(trial))
                study.tell(trial, [1.0] * objectives)
    except Exception as error:  # a sampler may raise anything, too
        raise ValueError(f"method {spec.method} cannot search this: {_line(error)}") from error


def _parameters(kind: type[BaseSampler]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's notices of its own future, and of what it does with odd values, from the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
