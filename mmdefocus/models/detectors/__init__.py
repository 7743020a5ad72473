"""Detectors for MMDetection. All that use mmcv's deformable attention compute with ours."""

from .defocus_dino import DefocusDINO, DefocusDINOHead
from .mmcv_attention import serve_mmcv

__all__ = ['DefocusDINO', 'DefocusDINOHead']

serve_mmcv()
