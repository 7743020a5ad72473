"""Token order and scales, which follow from the sizes of the images and of the pre-training."""

import math
from collections.abc import Sequence

from mmdefocus.utils.checks import check_choice, check_positive

from ..layers import RasterOrder, SectionOrder, TokenOrder


def side_lengths(img_size: int | Sequence[int]) -> tuple[int, int]:
    """Returns height and width of an image size in pixels.

    Raises:
        ValueError: If the size is not a positive int or two of them.
    """
    sides = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f'img_size: expected a positive int or (height, width), got {img_size!r}')
    return sides


def resolution_ratio(img_size: int | Sequence[int], pretrain_img_size: int | None) -> float:
    """Returns r = img_size / pretrain_img_size (Appendix B.2); r of a rectangle by its area.

    Raises:
        ValueError: If a size is not positive.
    """
    side = math.sqrt(math.prod(side_lengths(img_size)))
    if pretrain_img_size is None:
        return 1.0
    check_positive('pretrain_img_size', pretrain_img_size)
    return side / pretrain_img_size


def make_token_order(
    name: str, img_size: int | Sequence[int], pretrain_img_size: int | None, patch_size: int
) -> tuple[TokenOrder, int]:
    """Returns the token order, and the multiple in pixels to which it needs images padded.

    Raises:
        ValueError: If the name is unknown, or the sizes do not make patches or sections.
    """
    check_choice('token_order', name, ('raster', 'sections'))
    sides = side_lengths(img_size)
    if not isinstance(patch_size, int) or not 1 <= patch_size <= min(sides):
        raise ValueError(
            f'patch_size: expected an int from 1 to the image size {min(sides)}, got {patch_size!r}'
        )
    if name == 'raster':
        return RasterOrder(), patch_size
    section = pretrain_img_size or (sides[0] if sides[0] == sides[1] else 0)
    if section < 1 or section % patch_size:
        raise ValueError(
            "pretrain_img_size: token_order='sections' needs the side of a square section, a "
            f'multiple of patch_size {patch_size}, got {pretrain_img_size!r} for img_size '
            f'{img_size!r}'
        )
    return SectionOrder(section // patch_size), section
