import torch
from torch import nn

from shared.models import LinearCalls, make_linear_step, make_model


def test_linear_step_runs_each_linear_layer_at_its_shape():
    model = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Flatten(2), nn.Linear(16, 5), nn.Linear(5, 2))
    step = make_linear_step(model, 'train', torch.randn(2, 3, 8, 8))
    with LinearCalls() as linear:
        step()
    shapes = [(tuple(shape), len(weights[0])) for _, shape, weights in linear.calls]
    assert shapes == [((2, 3, 8, 8), 4), ((2, 4, 16), 5), ((2, 4, 5), 2)]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_linear_step_has_the_layers_that_are_called_as_functions():
    model = make_model('defocus_mamba_tiny', 32)
    step = make_linear_step(model, 'infer', torch.randn(1, 3, 32, 32))
    with LinearCalls() as linear:
        step()
    mixer = model.backbone.blocks[0].mixer
    weights = [weights[0] for _, _, weights in linear.calls]
    for layer in (mixer.in_proj, mixer.x_proj, mixer.dt_proj, mixer.out_proj, model.head):
        assert sum(layer.weight is weight for weight in weights) == 1
