"""What holds for the mixers of all families."""

import pytest
import torch

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import (
    AttentionMixer,
    BidirectionalMambaMixer,
    Mamba2Mixer,
    MambaMixer,
    RetentionMixer,
)

MAMBA = {'intermediate_size': 32, 'state_size': 4, 'time_step_rank': 3, 'group_norm_size': 16}
SIZES = {
    MambaMixer: MAMBA,
    BidirectionalMambaMixer: MAMBA,
    Mamba2Mixer: {'intermediate_size': 32, 'state_size': 4, 'head_size': 16},
    RetentionMixer: {'num_heads': 3, 'value_channels': 24},
    AttentionMixer: {'num_heads': 3},
}
KINDS = [(kind, decay) for kind in SIZES for decay in kind.decays]


@pytest.mark.parametrize(('kind', 'decay'), KINDS)
@pytest.mark.parametrize('rope', ['learnable', 'fixed', 'none'])
def test_every_filter_trains_what_it_says(kind, decay, rope):
    mixer = kind(embed_dims=12, filter=Filter(decay, rope), **SIZES[kind]).double()
    mixer(torch.randn(2, 9, 12, dtype=torch.float64)).square().sum().backward()
    learnable = {name for name, p in mixer.named_parameters() if p.requires_grad}
    assert learnable == {name for name, p in mixer.named_parameters() if p.grad is not None}
    assert ('rope.freq' in learnable) == (rope == 'learnable')
    assert ('decay.A_log' in learnable) == (decay in ('data_dependent', 'learnable'))


CAUSAL = [(kind, decay) for kind, decay in KINDS if kind is not BidirectionalMambaMixer]


@pytest.mark.parametrize(('kind', 'decay'), CAUSAL)
@pytest.mark.parametrize('rope', ['learnable', 'none'])
def test_every_filter_is_causal(kind, decay, rope):
    mixer = kind(embed_dims=12, filter=Filter(decay, rope), **SIZES[kind]).double()
    tokens = torch.randn(2, 9, 12, dtype=torch.float64)
    changed = tokens.clone()
    changed[:, 5] += 1
    before, after = mixer(tokens), mixer(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize('kind', [RetentionMixer, AttentionMixer])
def test_a_decay_that_a_mixer_lacks_is_an_error(kind):
    with pytest.raises(ValueError, match='decay: expected one of learnable, fixed, none'):
        kind(embed_dims=12, filter=Filter('data_dependent'), **SIZES[kind])
