"""STUB replaced by the optuna branch."""

import random


class Proposals:
    def __init__(self, spec):
        self.spec = spec
        self.n = 0
        self.seen = {}
        self.losses = {}

    def propose(self):
        sp = self.spec
        for p in sp.points:
            if sp.space.identity(p) not in self.seen:
                return dict(p)
        for k in range(1000):
            a = sp.space.sample(random.Random(f"{sp.seed}/{self.n}/{k}"))
            if sp.space.identity(a) not in self.seen:
                return a
        if sp.repeats == "new_seed":
            return {**a, "seed": sp.trial_config(a).seed + self.n}
        return next(a for a in sp.space.configurations() if sp.space.identity(a) not in self.seen)

    def begin(self, t, a):
        self.n += 1
        self.seen[self.spec.space.identity(a)] = t

    def report(self, t, e, l):
        self.losses.setdefault(t, {})[e] = l

    def end(self, t, state, values=None):
        if state == "abandoned":
            self.seen = {k: v for k, v in self.seen.items() if v != t}

    def resume(self, t):
        pass

    def forecast(self, ids):
        return {t: list(self.losses[t].values())[-1] for t in ids}

    def chance_of_best(self, t):
        return 0.0
