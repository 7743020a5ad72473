"""De-focus Attention Networks (arXiv 2406.04342) for OpenMMLab.

This module stays light, so that `import mmdefocus.ops` needs nothing but torch. Configs register
the models, hooks and transforms by importing `mmdefocus.models`, `mmdefocus.engine` and
`mmdefocus.datasets`.
"""

from .version import __version__

__all__ = ['__version__']
