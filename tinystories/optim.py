"""AdamW with a rate for every width, and the schedule of that rate."""

import math

import torch
from torch import nn

from tinystories.config import TrialConfig
from tinystories.models.model import GPTNeo

BASE_WIDTH = 256
"""Width at which `TrialConfig.learning_rate` is given."""


def make_optimizer(model: GPTNeo, trial: TrialConfig) -> torch.optim.AdamW:
    """AdamW over all parameters; every group carries the factor `scale` on the learning rate.

    Hidden matrices learn at 256 / width of the rate, since the same change of every weight moves the output of a
    wider layer more. Embeddings learn sqrt(width) times as fast as those: at one rate for all they hold back the
    rest. Biases and norms learn at the rate itself.
    Only the hidden matrices decay: decayed embeddings shrink, and the norm behind them then turns that into
    larger and larger gradients. AdamW multiplies decay by rate, so it is divided by the scale here: an update
    takes the same share off the weights at every width.

    Source: 1 / width from Yang et al. 2022, arXiv:2203.03466, table 3, and Everett et al. 2024, arXiv:2407.05872;
    sqrt(width) from Hayou and Liu 2025, arXiv:2506.15025; decay over scale from Wang and Aitchison 2024,
    arXiv:2405.13698; no decay of embeddings from OLMo 2, arXiv:2501.00656.
    """
    hidden = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    embeddings = [model.wte.weight, model.wpe.weight]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    width = trial.width if trial.scale_learning_rate else BASE_WIDTH
    scale = BASE_WIDTH / width
    groups = [
        {"params": hidden, "scale": scale, "weight_decay": trial.weight_decay / scale},
        {"params": embeddings, "scale": scale * math.sqrt(width), "weight_decay": 0.0},
        {"params": vectors, "scale": 1.0, "weight_decay": 0.0},
    ]
    betas = trial.beta1, trial.beta2
    return torch.optim.AdamW(groups, lr=trial.learning_rate, betas=betas, eps=trial.epsilon, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate for the next update, times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def learning_rate(progress: float, trial: TrialConfig) -> float:
    """The rate at a share of the budget: linear warm-up, constant, cool-down to 0 as 1 - sqrt.

    Before the cool-down it does not fall, so a trial that is stopped early loses little against one that was
    planned to be that short. Warm-up and cool-down are shares of the budget: trials of one budget are comparable
    at equal cost, while those of another budget also differ in the length of their warm-up.

    Args:
        progress: share of the budget that is spent; beyond 1 the rate stays 0.
        trial: peak rate, and the shares of warm-up and cool-down.

    Source: Haegele et al. 2024, arXiv:2405.18392.
    """
    if progress < trial.warmup:
        return trial.learning_rate * progress / trial.warmup
    left = max(0.0, 1.0 - progress)
    if left < trial.cooldown:
        return trial.learning_rate * (1.0 - math.sqrt(1.0 - left / trial.cooldown))
    return trial.learning_rate
