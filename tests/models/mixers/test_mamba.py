import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import MambaMixer

SIZES = dict(
    embed_dims=12, intermediate_size=32, state_size=4, time_step_rank=3, group_norm_size=16
)


def test_time_steps_rise_with_the_channel_from_a_thousandth_to_a_tenth():
    steps = F.softplus(MambaMixer(**SIZES).dt_proj.bias)
    torch.testing.assert_close(steps[[0, -1]], torch.tensor([0.001, 0.1]))
    assert (steps.diff() > 0).all()


def test_without_decay_every_past_token_counts_the_same(monkeypatch):
    calls = []

    def scan(u, delta, A, *others, delta_bias, delta_softplus):
        assert delta_bias is None and not delta_softplus
        calls.append(torch.exp(delta[..., None] * A))
        return u

    monkeypatch.setattr('mmdefocus.models.mixers.mamba.gated_selective_scan', scan)
    mixer = MambaMixer(**SIZES, filter=Filter('none', 'none'))
    mixer(torch.randn(1, 4, SIZES['embed_dims']))
    assert torch.equal(calls[0], torch.ones_like(calls[0]))


def test_delta_scale_divides_the_time_steps(monkeypatch):
    calls = []

    def scan(u, delta, A, B, *others, delta_bias, delta_softplus):
        delta = F.softplus(delta + delta_bias)
        calls.append((delta[..., None] * A, delta[..., None] * B[..., None, :]))
        return u

    monkeypatch.setattr('mmdefocus.models.mixers.mamba.gated_selective_scan', scan)
    fast, slow = (
        MambaMixer(**SIZES),
        MambaMixer(**SIZES, filter=Filter('data_dependent', delta_scale=4.0)),
    )
    slow.load_state_dict(fast.state_dict())
    tokens = torch.randn(1, 3, SIZES['embed_dims'])
    slow(tokens), fast(tokens)
    for slow_product, fast_product in zip(*calls, strict=True):  # Δ A and Δ B
        torch.testing.assert_close(4 * slow_product, fast_product)


def gated_convolution():
    sizes = {**SIZES, 'state_size': 0}
    return MambaMixer(**sizes, filter=Filter('none', 'none'))


def test_without_states_a_gated_convolution_is_left():
    mixer = gated_convolution()
    tokens = torch.randn(2, 5, SIZES['embed_dims'])
    u, z = mixer.in_proj(tokens).chunk(2, dim=-1)
    u = F.silu(mixer.conv1d(F.pad(u.mT, (3, 0))).mT)
    torch.testing.assert_close(mixer(tokens), mixer.out_proj(u * F.silu(z)))
    assert not hasattr(mixer, 'x_proj')


def test_a_gated_convolution_can_be_read_in_pieces():
    mixer = gated_convolution()
    tokens = torch.randn(2, 7, SIZES['embed_dims'])
    state = mixer.initial_state(2)
    first, state = mixer.advance(tokens[:, :3], state, torch.tensor(0))
    second, _ = mixer.advance(tokens[:, 3:], state, torch.tensor(3))
    torch.testing.assert_close(torch.cat((first, second), dim=1), mixer(tokens))


def test_a_filter_without_states_is_refused():
    with pytest.raises(ValueError, match='state_size: 0 leaves no scan to filter'):
        MambaMixer(**{**SIZES, 'state_size': 0})
