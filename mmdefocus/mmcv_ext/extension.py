"""The module `mmcv._ext`: functions with the names and arguments of mmcv's compiled ones.

Imported under that name by `importer.py`, hence the absolute imports. mmcv asserts that each of its
operators is here, so an operator that is not replaced is a function, too, and says so when called.
"""

from collections.abc import Callable
from typing import NoReturn

from mmdefocus.mmcv_ext.boxes import nms as nms
from mmdefocus.mmcv_ext.boxes import nms_match as nms_match
from mmdefocus.mmcv_ext.boxes import softnms as softnms
from mmdefocus.mmcv_ext.deformable import ms_deform_attn_backward as ms_deform_attn_backward
from mmdefocus.mmcv_ext.deformable import ms_deform_attn_forward as ms_deform_attn_forward
from mmdefocus.mmcv_ext.focal_loss import sigmoid_focal_loss_backward as sigmoid_focal_loss_backward
from mmdefocus.mmcv_ext.focal_loss import sigmoid_focal_loss_forward as sigmoid_focal_loss_forward
from mmdefocus.mmcv_ext.focal_loss import softmax_focal_loss_backward as softmax_focal_loss_backward
from mmdefocus.mmcv_ext.focal_loss import softmax_focal_loss_forward as softmax_focal_loss_forward
from mmdefocus.mmcv_ext.missing import not_replaced
from mmdefocus.mmcv_ext.roi_align import roi_align_backward as roi_align_backward
from mmdefocus.mmcv_ext.roi_align import roi_align_forward as roi_align_forward

REPLACED = (
    'nms',
    'softnms',
    'nms_match',
    'roi_align',
    'sigmoid_focal_loss',
    'softmax_focal_loss',
    'ms_deform_attn',
)


def get_compiler_version() -> str:
    """Returns what mmcv's report of the environment shows as its compiler."""
    return 'none, mmdefocus supplies mmcv._ext'


def get_compiling_cuda_version() -> str:
    """Returns what mmcv's report of the environment shows as its CUDA compiler."""
    return 'not available'


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.startswith('__'):
        raise AttributeError(f'module mmcv._ext has no attribute {name!r}')

    def operator(*arguments: object, **options: object) -> NoReturn:
        raise not_replaced(name)

    return operator
