import pytest
import torch

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import MambaMixer, reference_mamba_mixer


def test_the_mixer_computes_its_reference_and_the_gradients_of_it():
    filter = Filter('data_dependent', rope_scale=4.0, delta_scale=2.0)
    mixer = MambaMixer(12, 32, 4, time_step_rank=3, group_norm_size=16, filter=filter).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.uniform_(-0.5, 0.5)
    tokens = torch.randn(2, 11, 12, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 11, 12, dtype=torch.float64)
    results = []
    for mix in (mixer, lambda x: reference_mamba_mixer(mixer, x)):
        output = mix(tokens)
        inputs = (tokens, *mixer.parameters())
        results.append((output, *torch.autograd.grad((output * weights).sum(), inputs)))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    'filter', [Filter('learnable'), Filter('none'), Filter('data_dependent', 'none')]
)
def test_a_mixer_with_another_filter_is_refused(filter):
    mixer = MambaMixer(12, 32, 4, time_step_rank=3, group_norm_size=16, filter=filter)
    with pytest.raises(ValueError, match="mixer: expected decay='data_dependent' and a rotary"):
        reference_mamba_mixer(mixer, torch.randn(1, 3, 12))
