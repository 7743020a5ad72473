"""Writes mmcv_ops.npz: what mmcv's compiled operators compute (onedl-mmcv 2.3.6, on a CPU).

Run it where mmcv has its operators, after `make setup MMCV_OPS=1`.
"""

from itertools import product
from pathlib import Path

import numpy as np
import torch
from mmcv.ops import nms, nms_match, roi_align, soft_nms

BOXES, REGIONS = 60, 7
OUTPUT_SIZE, SCALE = (3, 2), 0.25


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(BOXES, 2, generator=generator) * 40
    sides = torch.rand(BOXES, 2, generator=generator) * 25
    boxes, scores = torch.cat([corners, corners + sides], 1), torch.rand(BOXES, generator=generator)
    arrays = {'boxes': boxes, 'scores': scores}
    for threshold, offset in product((0.3, 0.6), (0, 1)):
        arrays[f'nms/{threshold}/{offset}'] = nms(boxes, scores, threshold, offset)[1]
        for method in ('naive', 'linear', 'gaussian'):
            dets, kept = soft_nms(boxes, scores, threshold, 0.5, 0.1, method, offset)
            arrays |= {
                f'softnms/{threshold}/{offset}/{method}/{name}': x
                for name, x in (('dets', dets), ('kept', kept))
            }
    groups = nms_match(torch.cat([boxes, scores[:, None]], 1), 0.4)
    arrays['nms_match/members'] = torch.cat(groups)
    arrays['nms_match/sizes'] = torch.tensor([len(group) for group in groups])

    maps = torch.randn(2, 3, 13, 11, generator=generator)
    regions = torch.cat([torch.arange(REGIONS)[:, None] % 2, boxes[:REGIONS] - 4], 1)
    grad = torch.randn(REGIONS, 3, *OUTPUT_SIZE, generator=generator)
    arrays |= {'maps': maps, 'regions': regions, 'grad': grad}
    for ratio, aligned in product((0, 2), (True, False)):
        leaf = maps.clone().requires_grad_()
        y = roi_align(leaf, regions, OUTPUT_SIZE, SCALE, ratio, 'avg', aligned)
        y.backward(grad)
        arrays[f'roi_align/{ratio}/{aligned}'] = y.detach()
        arrays[f'roi_align/{ratio}/{aligned}/grad'] = leaf.grad
    path = Path(__file__).with_name('mmcv_ops.npz')
    np.savez_compressed(path, **{name: x.numpy() for name, x in arrays.items()})


if __name__ == '__main__':
    main()
