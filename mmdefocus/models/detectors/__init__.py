"""Detectors for MMDetection."""

from .defocus_dino import DefocusDINO, DefocusDINOHead

__all__ = ['DefocusDINO', 'DefocusDINOHead']
