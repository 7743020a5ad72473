import torch

from mmdefocus.models.mixers import MambaMixer
from shared.released import ReleasedOrderMixer

SIZES = dict(embed_dims=32, intermediate_size=64, state_size=4, time_step_rank=2)


def test_released_order_computes_what_our_mixer_does():
    torch.manual_seed(0)
    ours, released = MambaMixer(**SIZES), ReleasedOrderMixer('naive', **SIZES)
    released.load_state_dict(ours.state_dict())
    tokens = torch.randn(2, 11, 32)
    torch.testing.assert_close(released(tokens), ours(tokens), rtol=1e-5, atol=1e-6)
