"""Focal loss (arXiv 1708.02002) with the arguments of mmcv's, in plain torch on any device.

The loss of a probability p of the true class is -alpha (1 - p)^gamma log p. Everything is computed
in float32, or in float64 for float64.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..ops.numerics import wide_dtype


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Computes the loss of each class of each sample against all others.

    Args:
        input: Logits, `(N, C)`.
        target: The class of each sample, or C for none, `(N,)`, int64.
        weight: A factor for the samples of each class, `(C,)`, or empty.
        output: Is overwritten, `(N, C)`.
        gamma: The exponent.
        alpha: The share of the true class; the others have 1 - alpha.
    """
    sign, share = _signs_and_shares(input, target, weight, alpha)
    logit = sign * input
    output.copy_(-share * torch.sigmoid(-logit) ** gamma * logsigmoid(logit))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Overwrites `grad_input` `(N, C)` by the derivative of each loss after its logit."""
    sign, share = _signs_and_shares(input, target, weight, alpha)
    logit = sign * input
    p, rest = torch.sigmoid(logit), torch.sigmoid(-logit)
    grad_input.copy_(sign * share * rest**gamma * (gamma * p * logsigmoid(logit) - rest))


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Computes the loss of the true class of each sample.

    Args:
        input: Probabilities, `(N, C)`.
        target: The class of each sample, or a negative number for no loss, `(N,)`, int64.
        weight: A factor for the samples of each class, `(C,)`, or empty.
        output: Is overwritten, `(N,)`.
        gamma: The exponent.
        alpha: A factor of all losses.
    """
    p, share = _of_true_class(input, target, weight, alpha)
    output.copy_(-share * (1 - p) ** gamma * _log(p))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Overwrites `grad_input` `(N, C)` by the derivatives after the logits.

    `buff` `(N,)` receives those after the logit of the true class, without their factor of the
    softmax.
    """
    p, share = _of_true_class(input, target, weight, alpha)
    rest = 1 - p
    # (1 - p)^(gamma - 1) p log p, whose factor (1 - p)^-1 is infinite at 1 for gamma below 1
    slope = torch.where(rest > 0, rest ** (gamma - 1) * p * _log(p), 0.0)
    buff.copy_(share * (gamma * slope - rest**gamma))
    classes = torch.arange(input.shape[1], device=input.device)
    true = (target[:, None] == classes).to(p.dtype)
    grad_input.copy_(buff[:, None] * (true - input))


def _signs_and_shares(
    input: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Returns 1 for the true class and -1 for others, and the factor of each loss, `(N, C)`."""
    dtype = wide_dtype(input.dtype)
    true = target[:, None] == torch.arange(input.shape[1], device=input.device)
    sign = true.to(dtype) * 2 - 1
    share = torch.where(true, alpha, 1 - alpha).to(dtype)
    return sign, share * weight[target][:, None] if weight.numel() else share


def _of_true_class(
    input: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Returns the probability of the true class and the factor of its loss, `(N,)`."""
    counts, place = target >= 0, target.clamp(min=0)
    p = input.gather(1, place[:, None])[:, 0].to(wide_dtype(input.dtype))
    share = alpha * counts.to(p.dtype)
    return p, share * weight[place] if weight.numel() else share


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
