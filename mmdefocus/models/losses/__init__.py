"""Losses that MMDetection and MMPretrain do not have."""

from .contrastive import ContrastiveLoss, SigmoidContrastiveLoss, SoftmaxContrastiveLoss

__all__ = ['ContrastiveLoss', 'SigmoidContrastiveLoss', 'SoftmaxContrastiveLoss']
