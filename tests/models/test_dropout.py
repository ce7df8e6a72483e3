import pytest
import torch
from torch import Tensor

from tinystories.config import ModelConfig
from tinystories.models.dropout import at, drop, noise
from tinystories.models.model import GPTNeo

CPU = torch.device("cpu")
ONES_BLD = torch.ones(8, 32, 64)


def masks(count: int) -> Tensor:
    """What is kept at the first places of a model, as rows of 0 and 1."""
    drawn = noise(0, 0, 0, CPU)
    return torch.stack([(drop(ONES_BLD, 0.5, at(drawn, site)) > 0).float().flatten() for site in range(count)])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_so_many_numbers_are_dropped_and_the_mean_stays(share: float) -> None:
    dropped_BLD = drop(ONES_BLD, share, noise(0, 0, 0, CPU))

    assert (dropped_BLD == 0).float().mean().item() == pytest.approx(share, abs=0.015)
    assert dropped_BLD.unique().tolist() == pytest.approx([0, 1 / (1 - share)])


@pytest.mark.parametrize("step", [0, 1, 12345])
def test_the_same_update_drops_the_same_and_every_other_drops_others(step: int) -> None:
    dropped_BLD = drop(ONES_BLD, 0.5, noise(3, step, 0, CPU))

    assert torch.equal(dropped_BLD, drop(ONES_BLD, 0.5, noise(3, step, 0, CPU)))
    for other in (noise(3, step + 1, 0, CPU), noise(4, step, 0, CPU)):
        assert (dropped_BLD == drop(ONES_BLD, 0.5, other)).float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_places_of_a_model_drop_independently_of_each_other() -> None:
    correlations = torch.corrcoef(masks(12)).fill_diagonal_(0)

    assert correlations.abs().max() < 0.04  # five standard deviations of 16,384 coins


def test_neighbouring_numbers_drop_independently_of_each_other() -> None:
    (kept_N,) = masks(1)

    for distance in (1, 2, 64, 64 * 32):
        pair = torch.stack([kept_N[distance:], kept_N[:-distance]])
        assert torch.corrcoef(pair)[0, 1].abs() < 0.04


def test_micro_batches_drop_what_the_whole_batch_would() -> None:
    whole_BLD = drop(ONES_BLD, 0.3, noise(0, 7, 0, CPU))

    halves = [drop(ONES_BLD[first : first + 4], 0.3, noise(0, 7, first, CPU)) for first in (0, 4)]

    assert torch.equal(torch.cat(halves), whole_BLD)


def test_a_dropped_number_has_no_gradient() -> None:
    x_BLD = ONES_BLD.clone().requires_grad_()

    dropped_BLD = drop(x_BLD, 0.25, noise(0, 0, 0, CPU))
    dropped_BLD.sum().backward()

    assert torch.equal(x_BLD.grad, dropped_BLD.detach())


def test_compiled_code_drops_the_same() -> None:
    drawn = noise(0, 1, 2, CPU)

    compiled = torch.compile(drop, dynamic=False, fullgraph=True)

    torch.testing.assert_close(compiled(ONES_BLD, 0.5, drawn), drop(ONES_BLD, 0.5, drawn))


def test_bfloat16_stays_bfloat16() -> None:
    assert drop(ONES_BLD.bfloat16(), 0.5, noise(0, 0, 0, CPU)).dtype == torch.bfloat16


def test_a_model_drops_nothing_without_noise() -> None:
    torch.manual_seed(0)
    model = GPTNeo(ModelConfig(depth=2, width=16, heads=2, vocab_size=50, context=24, dropout=0.5))
    tokens_BL = torch.randint(50, (2, 24))

    plain, again, dropped = (
        model.loss(tokens_BL, tokens_BL, drawn).item() for drawn in (None, None, noise(0, 0, 0, CPU))
    )

    assert plain == again != dropped


def test_every_place_of_a_model_drops() -> None:
    """Embeddings, and what attention and MLP of each layer add: zero them all, and the logits are those of nothing."""
    torch.manual_seed(0)
    model = GPTNeo(ModelConfig(depth=2, width=16, heads=2, vocab_size=50, context=24, dropout=1 - 2**-30))
    tokens_BL = torch.randint(50, (2, 24))

    loss = model.loss(tokens_BL, tokens_BL, noise(0, 0, 0, CPU)).item()

    assert loss == pytest.approx(torch.tensor(50.0).log().item(), abs=1e-6)
