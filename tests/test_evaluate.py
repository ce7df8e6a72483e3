import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tinystories.config import ModelConfig
from tinystories.data.dataset import Dataset
from tinystories.evaluate import Text, evaluate, sample, windows
from tinystories.models.model import GPTNeo


@pytest.fixture
def model(dataset: Dataset) -> GPTNeo:
    torch.manual_seed(0)
    return GPTNeo(ModelConfig(depth=1, width=16, heads=2, vocab_size=dataset.vocab_size, context=32))


def losses(model: GPTNeo, text_N: Text) -> torch.Tensor:
    """Loss of every token but the first, by windows of 32 one after the other. [nat]"""
    found = []
    for start in range(0, len(text_N) - 1, 32):
        tokens_L = torch.from_numpy(text_N[start : start + 33].astype("int64"))
        with torch.no_grad():
            logits_LV = model(tokens_L[None, :-1])[0]
        found.append(torch.nn.functional.cross_entropy(logits_LV, tokens_L[1:], reduction="none"))
    return torch.cat(found).double()


def stories(text_N: Text) -> list[tuple[int, ...]]:
    """The stories of a text, each with the token that ends it."""
    ends = np.flatnonzero(text_N == text_N[-1]) + 1
    return [tuple(text_N[start:end]) for start, end in itertools.pairwise([0, *ends]) if end - start > 1]


def test_every_token_but_the_first_counts_once(model: GPTNeo, dataset: Dataset) -> None:
    expected_N = losses(model, dataset.valid)

    found = evaluate(model, dataset, batch_size=4)

    assert len(expected_N) == len(dataset.valid) - 1
    assert found.loss == pytest.approx(expected_N.mean().item(), rel=1e-6)
    assert found.bpb == pytest.approx(expected_N.sum().item() / math.log(2) / dataset.valid_bytes)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batch_size_does_not_change_the_loss(model: GPTNeo, dataset: Dataset, batch_size: int) -> None:
    found, expected = (evaluate(model, dataset, batch_size=size) for size in (batch_size, 8))

    assert (found.loss, found.se, found.bpb) == pytest.approx((expected.loss, expected.se, expected.bpb), rel=1e-6)


MEASURE = """
import resource, sys
import numpy as np, torch
from pathlib import Path
from tinystories.config import ModelConfig
from tinystories.data.dataset import Dataset
from tinystories.device import keep_freed_memory
from tinystories.evaluate import evaluate
from tinystories.models.model import GPTNeo
keep_freed_memory()
torch.set_num_threads(1)
model = GPTNeo(ModelConfig(depth=1, width=16, heads=1, vocab_size=8192, context=64))
peaks = []
for tokens in (5_000, 5_000, 50_000):
    text = np.random.default_rng(0).integers(8192, size=tokens).astype(np.uint16)
    data = Dataset(folder=Path(), vocab_size=8192, tokenizer="", fingerprint="", train=text, valid=text, valid_bytes=1)
    evaluate(model, data, batch_size=16)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[2] - peaks[1])
"""


def test_a_longer_text_takes_no_more_memory() -> None:
    """As a trainer has glibc set up: memory that is freed stays, so that what is kept can leave holes in it."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 16 * 1024  # KiB: the logits of a single batch


def test_bits_per_byte_depend_on_the_text_not_on_its_tokens(model: GPTNeo, dataset: Dataset) -> None:
    longer = replace(dataset, valid_bytes=2 * dataset.valid_bytes)
    found = evaluate(model, dataset, batch_size=8)

    assert evaluate(model, longer, batch_size=8) == replace(found, bpb=pytest.approx(found.bpb / 2))


def test_evaluation_leaves_the_model_as_it_was(model: GPTNeo, dataset: Dataset) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    evaluate(model, dataset, batch_size=8)

    assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(model.state_dict(), before, atol=0, rtol=0)


def test_a_sample_is_whole_stories_and_no_more_tokens_than_asked_for(dataset: Dataset) -> None:
    known = stories(dataset.valid)

    for tokens in range(1500, len(dataset.valid), 500):
        taken = stories(sample(dataset, tokens))
        count = sum(map(len, taken))

        assert set(taken) <= set(known)
        assert len(set(taken)) == len(taken)
        assert count <= tokens < count + max(map(len, known))


def test_a_larger_sample_begins_with_the_smaller_one(dataset: Dataset) -> None:
    small, large = sample(dataset, 2000), sample(dataset, 4000)

    assert len(small) < len(large)
    np.testing.assert_array_equal(large[: len(small)], small)


def test_a_sample_is_the_same_every_time_and_not_the_beginning_of_the_file(dataset: Dataset) -> None:
    taken = sample(dataset, 3000)

    np.testing.assert_array_equal(taken, sample(dataset, 3000))
    assert stories(taken) != stories(dataset.valid)[: len(stories(taken))]


def test_a_sample_of_everything_is_the_file(dataset: Dataset) -> None:
    assert sample(dataset, len(dataset.valid)) is dataset.valid


def test_a_sample_has_two_stories_at_least(dataset: Dataset) -> None:
    """One story alone says nothing about how stories differ."""
    assert len(stories(sample(dataset, 1))) == 2


def test_a_sampled_loss_counts_every_token_of_its_stories(model: GPTNeo, dataset: Dataset) -> None:
    text_N = sample(dataset, 3000)

    found = evaluate(model, dataset, batch_size=4, text_N=text_N)

    assert len(text_N) == 1 + sum(map(len, stories(text_N)))
    assert found.loss == pytest.approx(losses(model, text_N).mean().item(), rel=1e-6)
    assert found.bpb / found.loss == pytest.approx((len(dataset.valid) - 1) / dataset.valid_bytes / math.log(2))


def test_standard_error_is_that_of_the_same_stories_drawn_again(model: GPTNeo, dataset: Dataset) -> None:
    """The bootstrap over stories, which knows nothing of the formula."""
    lengths = [len(story) for story in stories(dataset.valid)]
    lengths[0] -= 1  # its first token is not predicted
    parts = losses(model, dataset.valid).split(lengths)
    nats_S, tokens_S = np.array([part.sum().item() for part in parts]), np.array(lengths)
    drawn = np.random.default_rng(0).integers(len(lengths), size=(20_000, len(lengths)))
    again = nats_S[drawn].sum(1) / tokens_S[drawn].sum(1)

    found = evaluate(model, dataset, batch_size=8)

    assert found.se == pytest.approx(again.std() * math.sqrt(len(lengths) / (len(lengths) - 1)), rel=0.03)


def test_one_story_has_no_standard_error(model: GPTNeo, dataset: Dataset) -> None:
    end = int(np.flatnonzero(dataset.valid == dataset.valid[-1])[0]) + 1

    assert math.isinf(evaluate(model, dataset, batch_size=8, text_N=dataset.valid[:end]).se)


@pytest.mark.parametrize(("batch_size", "context"), [(1, 10), (4, 10), (3, 17), (100, 1), (2, 102), (2, 500)])
def test_windows_predict_every_token_but_the_first_once(batch_size: int, context: int) -> None:
    batches = list(windows(np.arange(103, dtype=np.uint16), batch_size=batch_size, context=context))

    np.testing.assert_array_equal(np.concatenate([targets.ravel() for _, targets in batches]), np.arange(1, 103))
    np.testing.assert_array_equal(np.concatenate([inputs.ravel() for inputs, _ in batches]), np.arange(102))
    lengths = [inputs_BL.shape[1] for inputs_BL, _ in batches]
    assert all(length == context for length in lengths[:-1])
    assert all(len(inputs_BL) <= batch_size for inputs_BL, _ in batches)
    assert lengths[-1] == context or len(batches[-1][0]) == 1
