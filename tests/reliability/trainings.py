"""What the tests of trainings share: images to train on, and equality to the bit."""

from pathlib import Path

import cv2
import numpy as np
import torch

from mmdefocus.datasets.pairs.writing import write_shards


def make_images(folder: Path, each: int = 6) -> Path:
    """Writes two classes of some images of 16 x 16, and returns their folder."""
    rng = np.random.default_rng(0)
    for name in ('dark', 'light'):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            image = rng.integers(0, 128, (16, 16, 3)) + 127 * (name == 'light')
            cv2.imwrite(str(folder / name / f'{index}.png'), image.astype(np.uint8))
    return folder


def make_pairs(folder: Path) -> Path:
    """Writes 12 images of 16 x 16 with captions as three shards, and returns their folder."""
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    write_shards(folder, 'part', [(image, f'image {n}') for n, image in enumerate(images)], 4)
    return folder


def difference(left: object, right: object, place: str = 'all') -> str | None:
    """Names the first place where nested containers of tensors are not equal, bit for bit."""
    if isinstance(left, torch.Tensor):
        return None if isinstance(right, torch.Tensor) and torch.equal(left, right) else place
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return f'keys of {place}'
        pairs = [(left[key], right[key], f'{place}.{key}') for key in left]
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return f'length of {place}'
        pairs = [(*pair, f'{place}.{i}') for i, pair in enumerate(zip(left, right, strict=True))]
    else:
        return None if left == right else place
    return next((found for pair in pairs if (found := difference(*pair))), None)


# Steps whose sums are the same for one process and for several, but for their order.
PLAIN = """
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))
custom_hooks = [dict(type='NonFiniteLossHook'), dict(type='MeanLoss')]
model = dict(backbone=dict(drop_path_rate=0.0))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=9))
"""
