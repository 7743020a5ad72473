"""The mixer of S4ND against state spaces that are run step by step."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Filter, Grid, RasterOrder
from mmdefocus.models.mixers import S4NDMixer
from mmdefocus.models.mixers.s4nd import DiagonalKernel

GRID = Grid(RasterOrder(), 3, 4)


def make(**options):
    torch.manual_seed(0)
    return S4NDMixer(5, state_size=6, **options).double()


def run_state_space(kernel, side, inputs):
    """Runs h' = A h + u with held inputs `(M, C, L)`, a patch a step; reads 2 Re C h out."""
    poles = torch.complex(-kernel.A_log.exp(), kernel.A_imag)
    step = kernel.log_step.exp()[:, None] / kernel.step_scale
    decay = (step * poles).exp()
    weight = torch.view_as_complex(kernel.weight[side])
    state, outputs = torch.zeros_like(weight), []
    for u in inputs.unbind(-1):
        state = decay * state + (decay - 1) / poles * u[..., None]
        outputs.append(2 * (weight * state).sum(-1).real)
    return torch.stack(outputs, dim=-1)


def test_kernels_are_the_responses_of_the_state_spaces():
    torch.manual_seed(0)
    kernel = DiagonalKernel(5, 6, 2, step_scale=1.5, band_limit=math.inf).double()
    impulse = torch.zeros(2, 5, 9, dtype=torch.float64)
    impulse[..., 0] = 1
    found = kernel(9, torch.float64)
    for side in (0, 1):
        torch.testing.assert_close(found[side], run_state_space(kernel, side, impulse))


def two_sided(kernel, length):
    """The weights at offsets from 1 - length to length - 1, `(M, C, 2 length - 1)`."""
    earlier, later = kernel(length, torch.float64)
    return torch.cat((later[..., : length - 1].flip(-1), earlier), dim=-1)


def convolve_by_hand(mixer, image):
    height, width = image.shape[-2:]
    columns, rows = two_sided(mixer.along_columns, height), two_sided(mixer.along_rows, width)
    outputs = []
    for m in range(2):
        kernel = columns[m][:, :, None] * rows[m][:, None, :]
        # torch's convolution is a correlation
        padded = F.pad(image, (width - 1, width - 1, height - 1, height - 1))
        y = F.conv2d(padded, kernel.flip(1, 2).unsqueeze(1), groups=5)
        outputs.append(y + mixer.D.view(2, 5)[m][:, None, None] * image)
    return torch.cat(outputs, dim=1)


@pytest.mark.parametrize(('height', 'width'), [(3, 4), (1, 5), (6, 1)])
def test_the_convolution_is_that_with_the_outer_products(height, width):
    mixer = make()
    image = torch.randn(2, 5, height, width, dtype=torch.float64)
    torch.testing.assert_close(mixer.convolve(image), convolve_by_hand(mixer, image))


def test_the_mixer_ends_with_gelu_and_a_gated_linear_layer():
    mixer, tokens = make(), torch.randn(2, 12, 5, dtype=torch.float64)
    y = GRID.to_tokens(convolve_by_hand(mixer, GRID.to_map(tokens)))
    value, gate = mixer.out_proj(F.gelu(y)).chunk(2, dim=-1)
    torch.testing.assert_close(mixer(tokens, GRID), value * gate.sigmoid())


def test_gradients_are_those_of_the_plain_convolution():
    mixer = make()
    image = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    wanted = [image, *(p for name, p in mixer.named_parameters() if 'out_proj' not in name)]
    gradients = [
        torch.autograd.grad((y := convolve(image)).cos().sum() + 0 * y.sum(), wanted)
        for convolve in (mixer.convolve, lambda image: convolve_by_hand(mixer, image))
    ]
    torch.testing.assert_close(*gradients)


def test_states_beyond_the_band_are_left_out():
    kernel = DiagonalKernel(4, 8, 1, step_scale=1.0, band_limit=0.5)
    with torch.no_grad():
        kernel.log_step.copy_(torch.tensor([0.1, 0.2, 0.3, 0.6]).log())  # in half turns of state 1
    number = torch.arange(4.0) * kernel.log_step.exp()[:, None]  # half turns a patch
    kernel(5, torch.float32).square().sum().backward()
    silent = kernel.weight.grad.abs().amax((0, 1, 4)) == 0
    assert torch.equal(silent, number > 0.5)


def test_at_twice_the_resolution_two_patches_respond_as_one():
    coarse, fine = (
        DiagonalKernel(4, 8, 1, step_scale=scale, band_limit=math.inf).double() for scale in (1, 2)
    )
    fine.load_state_dict(coarse.state_dict())
    halves = fine(12, torch.float64).unflatten(-1, (6, 2))
    torch.testing.assert_close(coarse(6, torch.float64), halves.sum(-1))


def test_at_twice_the_resolution_the_band_has_states_that_aliased():
    coarse, fine = (DiagonalKernel(4, 8, 1, float(scale), 1.0) for scale in (1, 2))
    with torch.no_grad():
        for kernel in (coarse, fine):
            kernel.log_step.copy_(torch.tensor([0.1, 0.4, 0.6, 1.0]).log())
    heard = []
    for kernel in (coarse, fine):
        kernel(5, torch.float32).square().sum().backward()
        heard.append((kernel.weight.grad.abs().amax((0, 1, 4)) > 0).sum(1).tolist())
    assert heard == [[4, 3, 2, 2], [4, 4, 4, 3]]


def test_the_filter_cannot_be_switched():
    with pytest.raises(ValueError, match='rope: expected one of none'):
        make(filter=Filter())
