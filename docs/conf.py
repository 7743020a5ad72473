"""The site of the docs, made by `make docs`; its source is the repository's own Markdown."""

import re

from docutils import nodes
from math_core import LatexToMathML
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from mmdefocus import __version__

project = 'mmdefocus'
release = version = __version__

# The source folder is the repository, so that links work on the site as they do in the files.
root_doc = 'docs/index'
include_patterns = [
    '*.md',
    'docs/**.md',
    'docs/notebooks/*.ipynb',
    'configs/**/README.md',
    'mmdefocus/**/README.md',
]
exclude_patterns = ['.*', 'build', 'data', 'docs/_build', 'work_dirs']
extensions = [
    'myst_nb',  # with myst_parser, and the notebooks
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
nb_execution_mode = 'force'  # what they show comes from this run
nb_execution_in_temp = True
nb_output_stderr = 'remove'
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell, on a busy machine
myst_enable_extensions = ['dollarmath']
myst_fence_as_directive = ['math']
myst_heading_anchors = 3

autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
autodoc_class_signature = 'mixed'
default_role = 'code'  # docstrings have single backticks, as Markdown has them
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = 'furo'
html_title = f'mmdefocus {release}'
html_copy_source = False
html_show_copyright = False
html_static_path = ['style']
html_css_files = ['wide.css']


def formula(node: nodes.math | nodes.math_block, displayed: bool) -> str:
    """Returns a formula as MathML; one that is not LaTeX ends the build."""
    return LatexToMathML().convert_with_local_state(node.astext(), displaystyle=displayed)


def inline_math(page: HTML5Translator, node: nodes.math) -> None:
    """Writes a formula as MathML, which browsers draw without a script and without a network."""
    page.body.append(formula(node, displayed=False))
    raise nodes.SkipNode


def displayed_math(page: HTML5Translator, node: nodes.math_block) -> None:
    """Writes a formula of its own line; a page that is too narrow for it scrolls it sideways."""
    page.body.append(f'<div class="formula">{formula(node, displayed=True)}</div>')
    raise nodes.SkipNode


def bars_as_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]):
    """Keeps the bars of |t - s| in docstrings, which reStructuredText takes for a substitution."""
    lines[:] = [re.sub(r'(`[^`]*`)|\|', lambda m: m[1] or r'\|', line) for line in lines]


def skip_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object):
    """Leaves out the fields of a NamedTuple one by one: the docstring of the class has them."""
    return True if type(obj).__name__ == '_tuplegetter' else None


def setup(app: Sphinx) -> None:
    """Registers the renderer of formulas and the reading of docstrings."""
    app.connect('autodoc-process-docstring', bars_as_text)
    app.connect('autodoc-skip-member', skip_fields)
    app.add_html_math_renderer('mathml', (inline_math, None), (displayed_math, None))


html_math_renderer = 'mathml'
