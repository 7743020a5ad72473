import pytest
import torch

from mmdefocus.analysis.focus.maps import attention_map
from mmdefocus.analysis.focus.measure import measure_layer
from mmdefocus.analysis.focus.metrics import effective_tokens


@pytest.fixture
def padded(backbone):
    """Reads an image of 20 x 40 pixels, 3 x 5 patches, as 4 x 6, and looks at the padding most."""
    model = backbone('DefocusMamba', token_order='sections', pretrain_img_size=16)
    with torch.no_grad():
        model.patch_embed.projection.bias.fill_(0.1)
    return model, torch.randn(1, 3, 20, 40, generator=torch.Generator().manual_seed(0)) * 100


def test_maps_are_shares_of_the_largest_weight_that_they_show(padded):
    model, image = padded
    maps = measure_layer(model, image, None, 2)
    assert maps.attention.shape == (1, 15, 15)
    assert maps.field.shape == (1, 3, 5)
    assert maps.attention.max() == 1
    assert maps.field.max() == 1


def test_numbers_count_padding(padded):
    model, image = padded
    rows = effective_tokens(attention_map(model, image, 2))  # 24 tokens
    found = measure_layer(model, image, None, 2).numbers['attention_effective_tokens']
    torch.testing.assert_close(found, rows.nanmean(-1))
