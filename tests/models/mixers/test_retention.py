import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import RetentionMixer

SIZES = {'embed_dims': 12, 'num_heads': 3, 'value_channels': 24}


def test_recurrent_parallel_and_chunkwise_forms_agree(monkeypatch):
    mixer = RetentionMixer(**SIZES).double()
    tokens = torch.randn(2, 150, 12, dtype=torch.float64)  # two chunks
    weights = torch.randn_like(tokens)
    results = []
    for form in ('naive', 'parallel', 'chunkwise'):
        monkeypatch.setenv('MMDEFOCUS_BACKEND', form)
        output = mixer(tokens)
        gradients = torch.autograd.grad((output * weights).sum(), tuple(mixer.parameters()))
        results.append((output, *gradients))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


def test_the_state_of_one_token_after_the_other_gives_eq_4():
    """One head written down in complex numbers: S_t = exp(λ + iθ) S_{t-1} + k_t v_tᵀ."""
    mixer = RetentionMixer(embed_dims=4, num_heads=1, value_channels=6).double()
    torch.nn.init.uniform_(mixer.rope.freq, 0.2, 1.5)
    tokens = torch.randn(7, 4, dtype=torch.float64)
    q, k = (
        torch.view_as_complex(project(tokens).unflatten(-1, (-1, 2)))
        for project in (mixer.q_proj, mixer.k_proj)
    )
    v = mixer.v_proj(tokens)
    step = torch.exp(torch.complex(mixer.decay().expand(2), mixer.rope.freq[0]))
    state = torch.zeros(2, 6, dtype=torch.complex128)
    outputs = []
    for t in range(7):
        state = step[:, None] * state + k[t, :, None].conj() * v[t] / 2
        outputs.append((q[t, :, None] * state).sum(0).real)
    normalised = F.group_norm(torch.stack(outputs), 1, eps=1e-6)
    expected = mixer.out_proj(normalised * F.silu(mixer.g_proj(tokens)))
    torch.testing.assert_close(mixer(tokens[None])[0], expected)


def test_first_heads_keep_31_of_32_and_63_of_64():
    decays = RetentionMixer(**SIZES).decay().exp()
    torch.testing.assert_close(decays, torch.tensor([31 / 32, 63 / 64, 127 / 128]))


def test_every_head_is_normalised_apart():
    """Values of one head, however large, do not change the output of another."""
    mixer = RetentionMixer(**SIZES).double()
    for linear in (mixer.q_proj, mixer.k_proj, mixer.v_proj, mixer.g_proj):
        torch.nn.init.normal_(linear.weight)
    torch.nn.init.eye_(mixer.out_proj.weight)  # 12 outputs: the first head and half of the second
    tokens = torch.randn(1, 5, 12, dtype=torch.float64)
    before = mixer(tokens)
    with torch.no_grad():
        mixer.v_proj.weight[:8] *= 100
    after = mixer(tokens)
    torch.testing.assert_close(after[..., 8:], before[..., 8:], rtol=0, atol=0)
    torch.testing.assert_close(after[..., :8], before[..., :8], rtol=1e-4, atol=1e-6)


def test_a_larger_delta_scale_slows_the_decay():
    slow, fast = RetentionMixer(**SIZES, filter=Filter(delta_scale=4.0)), RetentionMixer(**SIZES)
    like = torch.empty(0)
    torch.testing.assert_close(slow.log_decay(like) * 4, fast.log_decay(like))
