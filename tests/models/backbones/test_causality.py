"""Which backbones are strictly causal, to the bit: every one that is registered is asked."""

import pytest
import torch

from mmdefocus.analysis.causality import influence, is_causal
from mmdefocus.models import backbones
from mmdefocus.registry import MODELS

FAMILIES = sorted(
    name
    for name, kind in MODELS.module_dict.items()
    if isinstance(kind, type) and issubclass(kind, backbones.ImageBackbone)
)
IMAGE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))  # 4 x 4 patches


@pytest.fixture
def seen(tiny_archs):
    """`seen(family, **options)`: which patch has an influence on which token, `(16, 16)`."""

    def see(family, **options):
        torch.manual_seed(0)
        sizes = {'arch': tiny_archs[family], 'img_size': 32, 'patch_size': 8}
        model = getattr(backbones, family)(**sizes, out_type='featmap', **options)
        assert is_causal(model, IMAGE) != influence(model, IMAGE).triu(1).any()
        return influence(model, IMAGE)

    return see


@pytest.mark.parametrize('family', FAMILIES)
def test_a_changed_patch_leaves_the_bits_of_earlier_tokens_where_the_name_says_so(family, seen):
    """De-focus models are causal; all others are not, and it shows."""
    found = seen(family)
    assert found.diagonal().all() and found.tril(-1).any()
    assert found.triu(1).any() != family.startswith('Defocus')


@pytest.mark.parametrize('family', [name for name in FAMILIES if name.startswith('Defocus')])
@pytest.mark.parametrize(
    'options',
    [
        {'token_order': 'sections', 'pretrain_img_size': 16},
        {'decay': 'none', 'rope': 'none'},
        {'decay': 'learnable'},
    ],
    ids=['sections', 'without filter', 'one decay'],
)
def test_causal_families_are_causal_with_other_options(family, options, seen):
    found = seen(family, **options)
    assert found.diagonal().all() and not found.triu(1).any()


def test_attention_that_is_not_causal_sees_all(seen):
    assert seen('DefocusViT', causal=False).all()
