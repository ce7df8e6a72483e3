import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinystories.config import TrialConfig
from tinystories.models.model import GPTNeo
from tinystories.optim import learning_rate, make_optimizer, set_learning_rate


def make_trial(**changes: object) -> TrialConfig:
    return TrialConfig(**{"depth": 2, "width": 16, "heads": 2, "context": 8, "budget": 1e6} | changes)  # type: ignore[arg-type]


def test_rate_rises_stays_and_falls_to_zero() -> None:
    trial = make_trial(learning_rate=1.0, warmup=0.1, cooldown=0.2)

    assert learning_rate(0.0, trial) == 0
    assert learning_rate(0.05, trial) == pytest.approx(0.5)
    assert [learning_rate(progress, trial) for progress in (0.1, 0.5, 0.8)] == pytest.approx([1, 1, 1])
    assert learning_rate(0.85, trial) == pytest.approx(0.5)  # 1 - sqrt(1/4)
    assert learning_rate(1.0, trial) == learning_rate(1.01, trial) == 0


@given(progress=st.floats(0, 1.1), warmup=st.floats(0, 0.49), cooldown=st.floats(0, 0.49))
def test_rate_is_never_below_zero_or_above_its_peak(progress: float, warmup: float, cooldown: float) -> None:
    trial = make_trial(warmup=warmup, cooldown=cooldown)

    assert 0 <= learning_rate(progress, trial) <= trial.learning_rate * (1 + 1e-9)


def test_rate_without_warmup_and_cooldown_is_constant() -> None:
    trial = make_trial(warmup=0, cooldown=0)

    assert {learning_rate(progress, trial) for progress in (0.0, 0.5, 0.999)} == {trial.learning_rate}


@pytest.mark.parametrize(("scaled", "hidden", "embeddings"), [(True, 0.04, 0.32), (False, 0.01, 0.16)])
def test_each_kind_of_parameter_has_its_rate_and_only_hidden_matrices_decay(
    scaled: bool, hidden: float, embeddings: float
) -> None:
    trial = make_trial(width=64, weight_decay=0.3, scale_learning_rate=scaled)
    model = GPTNeo(trial.model(vocab_size=20))
    optimizer = make_optimizer(model, trial)
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    set_learning_rate(optimizer, 0.01)

    for group in optimizer.param_groups:
        for parameter in group["params"]:
            kind = "vector" if parameter.ndim == 1 else names[id(parameter)].partition(".")[0]
            # Decay counts by rate times weight_decay, which is the same at every width.
            expected = {"h": (hidden, 0.003), "wte": (embeddings, 0), "wpe": (embeddings, 0), "vector": (0.01, 0)}
            assert (group["lr"], group["lr"] * group["weight_decay"]) == pytest.approx(expected[kind])


def test_adamw_has_the_trials_own_numbers() -> None:
    trial = make_trial(beta1=0.8, beta2=0.9, epsilon=1e-6)

    defaults = make_optimizer(GPTNeo(trial.model(vocab_size=20)), trial).defaults

    assert (defaults["betas"], defaults["eps"]) == ((0.8, 0.9), 1e-6)


def test_every_parameter_is_trained_once() -> None:
    trial = make_trial()
    model = GPTNeo(trial.model(vocab_size=20))
    groups = make_optimizer(model, trial).param_groups
    trained = [id(parameter) for group in groups for parameter in group["params"]]

    assert sorted(trained) == sorted(map(id, model.parameters()))


def test_scaled_update_moves_outputs_alike_at_every_width() -> None:
    """The reason for the scale: one update of Adam changes each output by rate times the sum over the inputs."""

    def change(width: int) -> float:
        trial = make_trial(width=width, heads=1, weight_decay=0.0)
        model = GPTNeo(trial.model(vocab_size=20))
        optimizer = make_optimizer(model, trial)
        set_learning_rate(optimizer, 1e-3)
        linear = model.h[0].mlp.c_fc
        inputs_D = torch.ones(width)
        with torch.no_grad():
            before = linear(inputs_D)
        linear(inputs_D).sum().backward()
        optimizer.step()
        with torch.no_grad():
            return (linear(inputs_D) - linear.bias - before).abs().mean().item()

    assert change(64) == pytest.approx(change(16), rel=0.02)
