"""Which configuration is tried next: a pure function of what became of the trials before."""

import math
import random
from collections.abc import Sequence

from sweeps.policy import samplers
from sweeps.policy.candidates import Candidates
from sweeps.policy.curve_surrogate import CurveSurrogate
from sweeps.policy.study import End, MemoryStudy
from sweeps.policy.surrogate import Array
from sweeps.policy.tried import Failures, Tried
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec

ATTEMPTS = 4
"""Times that a sampler of Optuna is asked for a new configuration, before one of the untried is drawn evenly."""
REDRAWS = 8
"""Even draws of which the first new one is proposed; only if none is new are all configurations searched."""


class Proposals:
    """Which configuration is tried next: by this project's own methods, or by an in-memory Optuna study.

    The same calls in the same order, made as trials run or read from a journal, lead to the same proposals. Every draw
    is seeded by the sweep's seed and the number of trials that have begun, and asking changes nothing. Only a sampler
    of Optuna that keeps a state is changed by an answer: this stays the proposal until a trial begins, so that its
    journal is replayed exactly if nothing was reported between the question and the beginning.

    Args:
        spec: what is searched, and how; one that `samplers.check` has passed.
    """

    def __init__(self, spec: Spec) -> None:
        self._method = _Method(spec)
        self._spec = spec
        self._tried = self._method.tried
        self._failures = self._method.failures
        self._surrogate = self._method.surrogate
        self._study = self._method.study
        self._begun = 0
        self._proposal: Assignment | None = None

    def propose(self) -> Assignment:
        """The next configuration: of `points`, else one never proposed, or with a new seed if the spec repeats them.

        Raises:
            ValueError: all configurations have been proposed.
        """
        if self._proposal is None:
            if self._tried.exhausted:
                raise ValueError(f"all {self._spec.space.size} configurations have been proposed")
            new = next((point for point in self._spec.points if self._tried.is_new(point)), None)
            self._proposal = self._tried.with_own_seed(new or self._method.choose(self._begun))
        return dict(self._proposal)

    def begin(self, trial_id: str, assignment: Assignment) -> None:
        """A trial of the search begins with this configuration, the one just proposed or one read from the journal."""
        if self._study and self._study.stateful and not self._tried.exhausted:
            self.propose()  # where a journal is replayed nobody has asked, but the sampler's state depends on it
        self._proposal = None
        self._begun += 1
        self._tried.add(trial_id, assignment)
        self._surrogate.add(trial_id, self._method.place(trial_id))
        if self._study:
            self._study.begin(trial_id, self._tried.searched(trial_id))

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """An evaluation; a loss that is not finite says that the trial diverged. Known evaluations change nothing."""
        if self._surrogate.has_reported(trial_id, evaluation):
            return
        self._changed()
        self._surrogate.report(trial_id, evaluation, loss if math.isfinite(loss) else math.inf)
        if self._study:
            self._study.report(trial_id, evaluation, loss)

    def end(self, trial_id: str, state: End, values: Sequence[float] | None = None) -> None:
        """A trial paused, and may be resumed, or ended; one that had paused or stopped may yet end otherwise.

        Args:
            state: abandoned: as if its configuration had never been proposed, but for what a sampler of Optuna has
                learnt from it. The surrogate takes a failure for a bad end, so that its region is left alone at first.
            values: the objectives of a completed trial, its loss in the unit of those reported [nat/token]. The study
                alone is told of them: the surrogate keeps to the losses reported, which are all on one text.
        """
        self._changed()
        if self._study:
            self._study.end(trial_id, state, values)
        if state == "abandoned":
            self._forget(trial_id)
            return
        if state in ("diverged", "failed"):
            self._surrogate.report(trial_id, self._spec.evaluations, math.inf)
        self._surrogate.end(trial_id)
        self._failures.end(trial_id, failed=state == "failed")

    def _forget(self, trial_id: str) -> None:
        self._tried.remove(trial_id)
        self._surrogate.remove(trial_id)
        self._failures.remove(trial_id)

    def resume(self, trial_id: str) -> None:
        """A paused trial runs again."""
        self._changed()
        self._surrogate.resume(trial_id)
        self._failures.remove(trial_id)
        if self._study:
            self._study.resume(trial_id, self._tried.searched(trial_id))

    def _changed(self) -> None:
        """Let the next proposal follow what has become known."""
        if not (self._study and self._study.stateful):
            self._proposal = None

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        """The losses that trials will end with, or would have, as the surrogate expects them. [nat/token]

        Raises:
            ValueError: no loss has been reported yet.
        """
        return dict(zip(trial_ids, self._surrogate.forecast(trial_ids).tolist(), strict=True))

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that a trial ends below the best forecast of all others."""
        return self._surrogate.chance_of_best(trial_id)


class _Method:
    """How a spec's method chooses, and all that it follows.

    Args:
        spec: what is searched, and how.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._candidates = Candidates(spec.space)
        self._places: dict[str, Array] = {}
        self._sampler = None if spec.method in samplers.OWN else samplers.find(spec)
        self.tried = Tried(spec)
        self.failures = Failures()
        self.surrogate = CurveSurrogate(spec.evaluations, spec.cooldown)
        self.study = self._sampler and MemoryStudy(spec, self._sampler)

    def place(self, trial_id: str) -> Array:
        """Features of a trial that begins."""
        self._places[trial_id] = self._candidates.features([self.tried.searched(trial_id)])[0]
        return self._places[trial_id]

    def choose(self, begun: int) -> Assignment:
        """A configuration that may be proposed, after so many trials have begun."""
        if self.study and self._sampler and begun >= self._sampler.startup:
            return self._by_sampler(self.study, begun)
        if self._spec.method == "bayes":
            return self._by_curves(begun)
        return self.tried.first() if self._spec.method == "grid" else self._evenly(begun)[0]

    def _random(self, begun: int, attempt: int = 0) -> random.Random:
        return random.Random(f"{self._spec.seed}/{begun}/{attempt}")

    def _evenly(self, begun: int) -> list[Assignment]:
        return self._candidates.offer(self._random(begun), self.tried.may_be_proposed, drawn=REDRAWS)

    def _by_curves(self, begun: int) -> Assignment:
        best = self.surrogate.best()
        center = self.tried.searched(best) if best else None
        offered = self._candidates.offer(self._random(begun), self.tried.may_be_proposed, center)
        return offered[self.surrogate.choose(self._candidates.features(offered))]

    def _by_sampler(self, study: MemoryStudy, begun: int) -> Assignment:
        for attempt in range(ATTEMPTS):
            drawn = study.ask(self._random(begun, attempt).getrandbits(31))
            if drawn is not None and self.tried.may_be_proposed(drawn) and not self._near_failure(drawn):
                return drawn
        offered = self._evenly(begun)
        return next((other for other in offered if not self._near_failure(other)), offered[0])

    def _near_failure(self, assignment: Assignment) -> bool:
        return self.failures.near(self._candidates.features([assignment]), self._places)
