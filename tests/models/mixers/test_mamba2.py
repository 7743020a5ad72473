import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import Mamba2Mixer

SIZES = {'embed_dims': 12, 'intermediate_size': 24, 'state_size': 6, 'head_size': 8}


def mamba2(mixer, tokens):
    """Mamba-2 with the rotary embedding, one token after the other, for one image `(L, C)`."""
    inner, states, heads = 24, 6, 3
    z, xBC, dt = (tokens @ mixer.in_proj.weight.mT).split([inner, inner + 2 * states, heads], -1)
    past = F.pad(xBC, (0, 0, 3, 0)).unfold(0, 4, 1)
    xBC = F.silu((past * mixer.conv1d.weight.squeeze(1)).sum(-1) + mixer.conv1d.bias)
    delta = F.softplus(dt + mixer.dt_bias) / mixer.delta_scale
    state, outputs = tokens.new_zeros(heads, 8, states), []
    for t in range(len(tokens)):
        x, B, C = xBC[t].split([inner, states, states])
        if mixer.rope is not None:
            turn = torch.exp(1j * mixer.rope.freq * t / mixer.rope.scale)
            B, C = (
                torch.view_as_real(torch.view_as_complex(part.view(-1, 2)) * turn).flatten()
                for part in (B, C)
            )
        keep = torch.exp(delta[t] * -mixer.decay.A_log.exp())[:, None, None]
        taken = delta[t, :, None, None] * x.view(heads, 8, 1) * B
        state = keep * state + taken
        outputs.append(((state @ C) + mixer.D[:, None] * x.view(heads, 8)).flatten())
    y = torch.stack(outputs) * F.silu(z)
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5) * mixer.norm.weight
    return y @ mixer.out_proj.weight.mT


@pytest.mark.parametrize(
    'filter',
    [Filter('data_dependent'), Filter('data_dependent', 'none', delta_scale=3.0, rope_scale=2.0)],
    ids=['rotary', 'as Mamba-2, slower'],
)
def test_the_mixer_is_the_recurrence_of_mamba_2(filter):
    mixer = Mamba2Mixer(**SIZES, filter=filter).double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(1, 150, 12, dtype=torch.float64)
    torch.testing.assert_close(mixer(tokens)[0], mamba2(mixer, tokens[0]))


def test_heads_look_back_from_a_token_to_a_thousand():
    mixer = Mamba2Mixer(64, 24 * 64)
    rates = F.softplus(mixer.dt_bias) * mixer.decay().abs()
    torch.testing.assert_close(rates[[0, -1]], torch.tensor([0.001, 1.6]))
    assert (rates.diff() > 0).all()


def test_decays_come_from_tokens_only_where_they_should():
    tokens = torch.randn(2, 5, 12)
    for decay, shape in (('data_dependent', (2, 3, 5)), ('learnable', (3,)), ('none', (3,))):
        mixer = Mamba2Mixer(**SIZES, filter=Filter(decay))
        assert mixer.prepare(tokens).log_decay.shape == shape


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        ({'head_size': 7}, 'head_size: expected .* divides intermediate_size 24, got 7'),
        ({'head_size': 0}, 'head_size: expected .* divides intermediate_size 24, got 0'),
        ({'state_size': 5}, 'state_size: expected an even number, .* got 5'),
        ({'state_size': 0}, 'state_size: expected a positive int, got 0'),
    ],
)
def test_sizes_that_do_not_fit_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        Mamba2Mixer(**SIZES | sizes)
