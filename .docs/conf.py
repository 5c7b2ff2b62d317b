"""Configuration of the documentation; see .github/CONTRIBUTING.md."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # vizlab_docs, and this vizlab

import vizlab  # noqa: E402

project = 'vizlab'
author = 'The vizlab developers'
copyright = '2026, The vizlab developers'
release = version = vizlab.__version__

extensions = [
  'myst_parser',
  'sphinx.ext.autodoc',
  'sphinx.ext.autosummary',
  'sphinx.ext.napoleon',
  'sphinx.ext.viewcode',
  'sphinx_copybutton',
  'sphinx_design',
  'vizlab_docs.api',
  'vizlab_docs.gallery',
  'vizlab_docs.included',
  'vizlab_docs.mathml',
]
exclude_patterns = ['_build']

# A name in single backquotes is a link where it is known, and code elsewhere.
default_role = 'py:obj'
add_module_names = False
python_maximum_signature_line_length = 72
toc_object_entries_show_parents = 'hide'
autodoc_typehints_format = 'short'
autosummary_generate = False
smartquotes = False  # they would change --flags and 'names'
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a NamedTuple's fields are described once
napoleon_attr_annotations = False  # the signature has them
napoleon_custom_sections = ['Reference']

myst_enable_extensions = ['dollarmath', 'colon_fence']
myst_heading_anchors = 3

html_theme = 'furo'
html_title = f'vizlab {release}'
html_static_path = ['static']
html_extra_path = ['extra']  # the microscope's pages
html_css_files = ['vizlab.css']
copybutton_prompt_text = '>>> '
linkcheck_ignore = [r'http://localhost.*']
