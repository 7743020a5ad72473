import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import AttentionMixer
from mmdefocus.ops import apply_rotary

SIZES = {'embed_dims': 12, 'num_heads': 3}


@pytest.fixture
def tokens():
    return torch.randn(2, 9, 12, dtype=torch.float64)


@pytest.mark.parametrize('causal', [True, False])
def test_with_the_filter_off_it_is_the_attention_of_torch(causal, tokens):
    mixer = AttentionMixer(**SIZES, causal=causal, filter=Filter('none', 'none')).double()
    torch.nn.init.normal_(mixer.qkv.bias)
    reference = torch.nn.MultiheadAttention(12, 3, batch_first=True).double()
    reference.load_state_dict(
        {
            'in_proj_weight': mixer.qkv.weight,
            'in_proj_bias': mixer.qkv.bias,
            'out_proj.weight': mixer.proj.weight,
            'out_proj.bias': mixer.proj.bias,
        }
    )
    mask = torch.ones(9, 9, dtype=torch.bool).triu(1) if causal else None
    expected, _ = reference(tokens, tokens, tokens, attn_mask=mask, need_weights=False)
    torch.testing.assert_close(mixer(tokens), expected)


@pytest.mark.parametrize('causal', [True, False])
def test_with_the_filter_off_it_trains_in_bfloat16_with_float32_within(causal, tokens):
    mixer = AttentionMixer(**SIZES, causal=causal, filter=Filter('none', 'none')).bfloat16()
    tokens = tokens.bfloat16()
    q, k, v = (x.detach() for x in mixer.prepare(tokens)[:3])
    wide = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=causal)
    assert torch.equal(mixer(tokens), mixer.proj(mixer.merge_heads(wide.bfloat16())))


@pytest.mark.parametrize('causal', [True, False])
def test_a_filter_that_passes_all_is_scaled_dot_product_attention(causal, tokens):
    """The way with the decay, at λ = 0 and θ = 0."""
    mixer = AttentionMixer(**SIZES, causal=causal).double()
    torch.nn.init.constant_(mixer.decay.A_log, -100.0)
    torch.nn.init.zeros_(mixer.rope.freq)
    q, k, v = mixer.qkv(tokens).view(2, 9, 3, 3, 4).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(mixer(tokens), mixer.proj(y.permute(0, 2, 1, 3).flatten(2)))


@pytest.mark.parametrize('causal', [True, False])
def test_decay_and_rotary_embedding_act_on_the_logits(causal, tokens):
    """Eq. 8, and with |t - s| where tokens see later ones."""
    mixer = AttentionMixer(
        **SIZES, causal=causal, filter=Filter(rope_scale=2.0, delta_scale=3.0)
    ).double()
    torch.nn.init.normal_(mixer.qkv.weight)
    torch.nn.init.uniform_(mixer.rope.freq)
    torch.nn.init.uniform_(mixer.decay.A_log)
    position = torch.arange(9, dtype=torch.float64)
    q, k, v = mixer.qkv(tokens).view(2, 9, 3, 3, 4).permute(2, 0, 3, 1, 4)
    freq = mixer.rope.freq[:, [0, 0, 1, 1]]
    q, k = (apply_rotary(x, freq, position / 2) for x in (q, k))
    distance = (position[:, None] - position).abs()
    decay = torch.exp(-mixer.decay.A_log.exp()[:, None, None] / 3 * distance)
    logits = decay * (q @ k.mT) / 2
    if causal:
        logits = logits.masked_fill(torch.ones(9, 9, dtype=torch.bool).triu(1), -torch.inf)
    y = logits.softmax(-1) @ v
    torch.testing.assert_close(mixer(tokens), mixer.proj(y.permute(0, 2, 1, 3).flatten(2)))
