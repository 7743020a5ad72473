"""Optimizer wrappers and their constructor."""

from .bfloat16_optim_wrapper import BFloat16OptimWrapper
from .defocus_optim_wrapper_constructor import DefocusOptimWrapperConstructor

__all__ = ['BFloat16OptimWrapper', 'DefocusOptimWrapperConstructor']
