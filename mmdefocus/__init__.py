"""De-focus Attention Networks (arXiv 2406.04342) for OpenMMLab.

This module stays light, so that `import mmdefocus.ops` needs nothing but torch. Configs register
the models, hooks and transforms by importing `mmdefocus.models`, `mmdefocus.engine` and
`mmdefocus.datasets`. An mmcv that was installed without its compiled operators finds replacements
here, see `mmcv_ext`; a user without name and home gets them, see `utils.users`.
"""

from .mmcv_ext.importer import register
from .utils.users import know_user
from .version import __version__

__all__ = ['__version__']

register()
know_user()
