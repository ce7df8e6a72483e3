import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tinystories.models import head
from tinystories.models.head import Kernels, linear_cross_entropy


def make(tokens: int, vocab_size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden_ND = torch.randn(tokens, 12).to(dtype).requires_grad_()
    weight_VD = torch.randn(vocab_size, 12, requires_grad=True)
    return hidden_ND, weight_VD, torch.randint(vocab_size, (tokens,))


def plain(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden_ND.float(), weight_VD), targets_N)


@pytest.fixture
def rows_of_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 8 tokens for a vocabulary of 50."""
    monkeypatch.setitem(head.CHUNK_BYTES, "cpu", 8 * 50 * 4)


@pytest.mark.parametrize("tokens", [1, 8, 16, 21])
@pytest.mark.usefixtures("rows_of_8")
def test_loss_and_gradients_are_those_of_the_whole_logits(tokens: int) -> None:
    hidden_ND, weight_VD, targets_N = make(tokens, 50)
    expected = plain(hidden_ND, weight_VD, targets_N)
    expected_gradients = torch.autograd.grad(3 * expected, (hidden_ND, weight_VD))

    loss = linear_cross_entropy(hidden_ND, weight_VD, targets_N)
    gradients = torch.autograd.grad(3 * loss, (hidden_ND, weight_VD))

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradients, expected_gradients, atol=1e-6, rtol=1e-5)


@pytest.mark.usefixtures("rows_of_8")
def test_bfloat16_loss_and_gradients_are_float32_ones_within_its_precision() -> None:
    hidden_ND, weight_VD, targets_N = make(40, 50, torch.bfloat16)
    expected = plain(hidden_ND, weight_VD, targets_N)
    expected_gradients = torch.autograd.grad(expected, (hidden_ND, weight_VD))

    loss = linear_cross_entropy(hidden_ND, weight_VD, targets_N)
    gradients = torch.autograd.grad(loss, (hidden_ND, weight_VD))

    assert loss.dtype == gradients[1].dtype == torch.float32
    assert gradients[0].dtype == torch.bfloat16
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        assert (gradient - wanted).norm() < 2e-2 * wanted.norm()


@pytest.mark.usefixtures("rows_of_8")
def test_loss_without_gradients_is_the_same() -> None:
    hidden_ND, weight_VD, targets_N = make(21, 50)

    with torch.no_grad():
        loss = linear_cross_entropy(hidden_ND, weight_VD, targets_N)

    torch.testing.assert_close(loss, plain(hidden_ND, weight_VD, targets_N).detach())


@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_sure_and_wrong_is_a_large_loss_not_an_infinite_one(scale: float) -> None:
    hidden_ND = torch.tensor([[scale, 0.0]], requires_grad=True)
    weight_VD = torch.eye(2)

    loss = linear_cross_entropy(hidden_ND, weight_VD, torch.tensor([1]))
    (gradient,) = torch.autograd.grad(loss, hidden_ND)

    assert loss.item() == pytest.approx(scale)
    assert gradient.tolist() == [[1, -1]]


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(("tokens", "whole"), [(5, [5]), (8, [8]), (16, [8, 8]), (21, [7, 7, 7]), (22, [8, 8])])
@pytest.mark.usefixtures("rows_of_8")
def test_given_kernels_serve_chunks_that_are_as_even_as_can_be(learns: bool, tokens: int, whole: list[int]) -> None:
    """And evaluation, which needs no gradients, computes none."""
    hidden_ND, weight_VD, targets_N = make(tokens, 50)
    served: list[tuple[str, int]] = []

    def losses_and_slopes(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
        served.append(("slopes", len(hidden_ND)))
        return head.losses_and_slopes(hidden_ND, weight_VD, targets_N)

    def losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
        served.append(("losses", len(hidden_ND)))
        return head.losses(hidden_ND, weight_VD, targets_N)

    with torch.set_grad_enabled(learns):
        linear_cross_entropy(
            hidden_ND, weight_VD, targets_N, Kernels(losses=losses, losses_and_slopes=losses_and_slopes)
        )

    assert served == [("slopes" if learns else "losses", rows) for rows in whole]


def test_second_backward_pass_is_refused() -> None:
    """It would find gradients that the first has scaled."""
    loss = linear_cross_entropy(*make(8, 50))
    loss.backward(retain_graph=True)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
