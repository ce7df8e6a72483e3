"""Rungs are where the stopping rule's own words put them."""

from typing import Any

import pytest

from sweeps.spec import load
from sweeps.spec.schema import Stopping

from ..examples import minimal


def stopping(evaluations: int = 27, **entries: Any) -> Stopping:
    raw = minimal(early_terminate=entries, trial={"tokens": "20k", "evaluations": evaluations})
    found = load.parse(raw).early_terminate
    assert found is not None
    return found


def test_hyperband_is_asha_at_the_rungs_that_wandb_names() -> None:
    upwards = stopping(type="hyperband", min_iter=3, eta=3, strict=True)
    downwards = stopping(type="hyperband", max_iter=27, s=2)

    assert upwards == stopping(type="asha", min_iter=3)
    assert (upwards.type, upwards.variant, upwards.rungs(27)) == ("asha", "stopping", (3, 9))
    assert downwards.rungs(27) == (3, 9)
    assert stopping(type="hyperband", max_iter=10, s=2, eta=2).rungs(27) == (2, 5)
    assert stopping(type="hyperband", max_iter=9, s=5).rungs(9) == (1, 3)
    assert stopping(type="hyperband", max_iter=81).rungs(9) == (1, 3)


def test_asha_promotes_if_it_is_told_to() -> None:
    assert stopping(type="asha").variant == "stopping"
    assert stopping(type="asha", variant="promotion").variant == "promotion"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"type": "median"}, "early_terminate.type 'median' is not one of screen, asha, hyperband"),
        ({"type": "screen", "variant": "promotion"}, "unknown key 'variant' in early_terminate of type screen"),
        ({"type": "asha", "max_iter": 9}, "did you mean min_iter"),
        ({"type": "hyperband", "min_iter": 1, "max_iter": 9}, "give either min_iter, or max_iter and s"),
        ({"type": "hyperband", "s": 2}, "early_terminate.s goes with max_iter"),
        ({"type": "hyperband", "max_iter": 2}, "max_iter 2 gives no rung below trial.evaluations 27"),
        ({"type": "hyperband", "strict": "yes"}, "early_terminate.strict 'yes' must be true or false"),
        ({"type": "asha", "variant": "pausing"}, "variant 'pausing' is not one of stopping, promotion"),
        ({"type": "asha", "eta": 1.5}, "early_terminate.eta 1.5 must be a whole number"),
    ],
)
def test_what_is_no_rule_is_refused(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stopping(**entries)
