import pytest
import torch

from tinystories.models.attention import attend, window_mask

CPU = torch.device("cpu")


@pytest.mark.parametrize(("length", "window"), [(48, 16), (48, 1), (130, 128), (300, 256)])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_both_kinds_of_mask_let_the_same_tokens_through(length: int, window: int) -> None:
    torch.manual_seed(0)
    q_BHLK, k_BHLK, v_BHLK = (torch.randn(2, 2, length, 16) for _ in range(3))
    masks = [window_mask(length, window, device=CPU, flex=flex) for flex in (False, True)]

    dense, flex = (attend(q_BHLK, k_BHLK, v_BHLK, mask) for mask in masks)

    torch.testing.assert_close(flex, dense, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("flex", [False, True])
@pytest.mark.parametrize("window", [48, 256])
def test_window_that_holds_everything_needs_no_mask(window: int, flex: bool) -> None:
    assert window_mask(48, window, device=CPU, flex=flex) is None


def test_mask_is_a_band_along_the_diagonal() -> None:
    mask_LL = window_mask(4, 2, device=CPU, flex=False)

    assert isinstance(mask_LL, torch.Tensor)
    assert mask_LL.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


def test_logits_are_not_divided_by_the_square_root_of_the_head() -> None:
    q_BHLK, k_BHLK = torch.full((1, 1, 2, 4), 0.5), torch.tensor([[0.0] * 4, [1.0] * 4])[None, None]
    v_BHLK = torch.tensor([[0.0], [1.0]])[None, None]

    attended_BHLK = attend(q_BHLK, k_BHLK, v_BHLK, None)

    assert attended_BHLK[0, 0, 1].item() == pytest.approx(torch.tensor([0.0, 2.0]).softmax(0)[1].item())
