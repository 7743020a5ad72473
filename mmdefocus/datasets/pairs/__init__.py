"""Pairs of an image and its caption."""

from .lists import ImageTextPairs
from .sampler import ShardSampler
from .shards import ImageTextShards

__all__ = ['ImageTextPairs', 'ImageTextShards', 'ShardSampler']
