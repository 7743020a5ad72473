"""Embeddings of patches of another size give the tokens of resized patches."""

import pytest
import torch
import torch.nn.functional as F

from mmdefocus.checkpoints.patch_size import resize_patches

NAME = 'backbone.patch_embed.projection.weight'


@pytest.mark.parametrize('size', [2, 4, 6, 8, 16])
def test_a_new_patch_has_the_token_of_the_resized_patch(size):
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 4, 4)
    patch = torch.randn(1, 3, size, size)
    resized = F.interpolate(patch, size=(4, 4), mode='bilinear', antialias=True)
    new = resize_patches({NAME: weight}, size)[NAME]
    assert new.shape == (5, 3, size, size)
    torch.testing.assert_close(F.conv2d(patch, new), F.conv2d(resized, weight))


def test_patches_of_the_same_size_stay_as_they_are():
    weight = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(resize_patches({NAME: weight}, 4)[NAME], weight)


def test_other_weights_and_the_dtype_stay():
    weights = {NAME: torch.randn(5, 3, 4, 4).bfloat16(), 'head.fc.weight': torch.randn(2, 5)}
    new = resize_patches(weights, 8)
    assert new['head.fc.weight'] is weights['head.fc.weight']
    assert new[NAME].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({}, r'expected one \*patch_embed\.projection\.weight, found 0'),
        ({NAME: torch.randn(5, 3, 4, 8)}, r'expected square patches, got \(5, 3, 4, 8\)'),
    ],
)
def test_what_is_no_embedding_of_square_patches_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        resize_patches(weights, 8)
