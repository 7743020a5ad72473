import pytest
import torch

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import BidirectionalMambaMixer, MambaMixer

SIZES = dict(
    embed_dims=12, intermediate_size=32, state_size=4, time_step_rank=3, group_norm_size=16
)


@pytest.fixture
def mixer():
    mixer = BidirectionalMambaMixer(**SIZES, filter=Filter('data_dependent', 'none')).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.uniform_(-0.5, 0.5)
    return mixer


def reversed_patches(tokens):
    return torch.cat((tokens[:, :-1].flip(1), tokens[:, -1:]), dim=1)


def test_every_token_sees_every_patch(mixer):
    tokens = torch.randn(1, 7, 12, dtype=torch.float64)
    before = mixer(tokens)
    for place in range(7):
        changed = tokens.clone()
        changed[:, place] += 1
        assert (mixer(changed) != before).any(-1).all(), place


def test_both_directions_read_alike(mixer):
    """With the same weights in both, reversed patches give reversed outputs, and the same CLS."""
    own = {key: value for key, value in mixer.state_dict().items() if 'reverse' not in key}
    mixer.reverse.load_state_dict({key: own[key] for key in mixer.reverse.state_dict()})
    tokens = torch.randn(2, 9, 12, dtype=torch.float64)  # 8 patches, so that CLS has a middle
    torch.testing.assert_close(
        mixer(reversed_patches(tokens)), reversed_patches(mixer(tokens)), rtol=1e-12, atol=1e-12
    )


def test_a_silent_reverse_direction_leaves_the_causal_mixer_with_cls_in_the_middle(mixer):
    causal = MambaMixer(**SIZES, filter=Filter('data_dependent', 'none')).double()
    causal.load_state_dict({k: v for k, v in mixer.state_dict().items() if 'reverse' not in k})
    with torch.no_grad():  # without C and D a scan gives nothing
        mixer.reverse.x_proj.weight[-SIZES['state_size'] :] = 0
        mixer.reverse.D.zero_()
    tokens = torch.randn(2, 9, 12, dtype=torch.float64)
    y = causal(tokens[:, [0, 1, 2, 3, 8, 4, 5, 6, 7]])
    torch.testing.assert_close(mixer(tokens), y[:, [0, 1, 2, 3, 5, 6, 7, 8, 4]])


def test_filters_of_both_directions_are_reset(mixer):
    mixer.reset_filter()
    fresh = MambaMixer(**SIZES, filter=Filter('data_dependent', 'none'))
    for direction in (mixer, mixer.reverse):
        assert torch.equal(direction.dt_proj.bias.float(), fresh.dt_proj.bias)
        assert torch.equal(direction.decay.A_log.float(), fresh.decay.A_log)


def test_a_misspelt_setting_is_an_error():
    with pytest.raises(TypeError, match='state_sizes'):
        BidirectionalMambaMixer(**SIZES, state_sizes=8)
