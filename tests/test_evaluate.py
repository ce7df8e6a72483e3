import math
from dataclasses import replace

import pytest
import torch

from tinystories.config import ModelConfig
from tinystories.data.dataset import Dataset
from tinystories.evaluate import evaluate
from tinystories.models.model import GPTNeo


@pytest.fixture
def model(dataset: Dataset) -> GPTNeo:
    torch.manual_seed(0)
    return GPTNeo(ModelConfig(depth=1, width=16, heads=2, vocab_size=dataset.vocab_size, context=32))


def test_every_token_but_the_first_counts_once(model: GPTNeo, dataset: Dataset) -> None:
    losses = []
    with torch.no_grad():
        for start in range(0, len(dataset.valid) - 1, 32):
            tokens_L = torch.from_numpy(dataset.valid[start : start + 33].astype("int64"))
            logits_LV = model(tokens_L[None, :-1])[0]
            losses.append(torch.nn.functional.cross_entropy(logits_LV, tokens_L[1:], reduction="none"))

    val_loss, val_bpb = evaluate(model, dataset, batch_size=4)

    assert len(torch.cat(losses)) == len(dataset.valid) - 1
    assert val_loss == pytest.approx(torch.cat(losses).double().mean().item(), rel=1e-6)
    assert val_bpb == pytest.approx(torch.cat(losses).double().sum().item() / math.log(2) / dataset.valid_bytes)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batch_size_does_not_change_the_loss(model: GPTNeo, dataset: Dataset, batch_size: int) -> None:
    assert evaluate(model, dataset, batch_size=batch_size) == pytest.approx(
        evaluate(model, dataset, batch_size=8), rel=1e-6
    )


def test_bits_per_byte_depend_on_the_text_not_on_its_tokens(model: GPTNeo, dataset: Dataset) -> None:
    longer = replace(dataset, valid_bytes=2 * dataset.valid_bytes)

    loss, bpb = evaluate(model, dataset, batch_size=8)

    assert evaluate(model, longer, batch_size=8) == (loss, pytest.approx(bpb / 2))


def test_evaluation_leaves_the_model_as_it_was(model: GPTNeo, dataset: Dataset) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    evaluate(model, dataset, batch_size=8)

    assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(model.state_dict(), before, atol=0, rtol=0)
