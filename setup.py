"""Packaging of vizlab."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
  r"__version__ = '(.+)'", (HERE / 'vizlab' / '__init__.py').read_text()
)[1]

WEIGHTS = ['torch>=2.6', 'h5py>=3.10']
ANALYSIS = ['scikit-learn>=1.4', 'scikit-image>=0.24', 'matplotlib>=3.8']
UMAP = ['umap-learn>=0.5.9']
SCALE = ['grain>=0.2.16']
CLUSTER = ['ray>=2.40', 'submitit>=1.5']
TENSORBOARD = ['tensorboard>=2.18']
TEST = [
  *ANALYSIS,
  *SCALE,
  'pytest>=8.3',
  'pytest-xdist>=3.6',
  'ruff>=0.11',
  'h5py>=3.10',
  'setuptools>=77',  # a test builds the wheel
]
DOCS = [
  'sphinx>=9.0',
  'docutils>=0.22',  # equations as MathML
  'myst-parser>=5.0',  # pages in Markdown
  'furo>=2025.9',  # the theme
  'sphinx-design>=0.6',  # cards
  'sphinx-copybutton>=0.5',
]
PARITY = [
  'torch==2.13.0',
  'captum>=0.9',
  'foolbox>=3.3.4',
  'opencv-python-headless',
  'ttach',
  # Libraries of models that become networks by nets.from_function.
  'dm-haiku>=0.0.16',
  'equinox>=0.13',
  'flaxmodels>=0.1.3',
]

# Our experiments are two folders of the clone, and one package elsewhere.
OURS = {
  'vizlab_experiments': 'experiments',
  'vizlab_experiments.configs': 'configs',
}

setup(
  name='vizlab',
  version=VERSION,
  description='Looking into convolutional networks, and making images with '
  'them, in JAX',
  long_description=(HERE / 'README.md').read_text(),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  python_requires='>=3.11',
  packages=[
    *find_packages(include=['vizlab', 'vizlab.*']),
    *OURS,
    *(
      f'{package}.{part}'
      for package, folder in OURS.items()
      for part in find_packages(HERE / folder)
    ),
  ],
  package_dir=OURS,
  entry_points={
    'console_scripts': [
      'vizlab-run = vizlab.commands:vizlab_run',
      'vizlab-sweep = vizlab.commands:vizlab_sweep',
      'vizlab-convert = vizlab.commands:vizlab_convert',
    ]
  },
  package_data={
    'vizlab': ['py.typed'],
    'vizlab.io': ['samples/*.png'],
    'vizlab.nets.weights': ['data/*'],
    'vizlab.runs': ['*.html'],
    'vizlab.sweeps': ['*.html'],
    'vizlab.synthesis': ['data/*'],
    'vizlab_experiments.shared': ['*_pages/*'],
  },
  install_requires=[
    'absl-py>=2.1',
    'dm-pix>=0.4.4',  # blur and SSIM
    'flax>=0.12.4',
    'jax>=0.10',
    'jinja2>=3.1',
    'ml-collections>=1.0',
    'numpy>=2.0',
    'optax>=0.2.5',
    'orbax-checkpoint>=0.12',
    'pillow>=11.0',
    'protobuf>=5.29',  # files of Caffe; orbax-checkpoint needs it, too
    'safetensors>=0.5',
    'tqdm>=4.66',
  ],
  extras_require={
    'weights': WEIGHTS,  # reading .pth and .h5 files
    'analysis': ANALYSIS,
    'umap': UMAP,  # maps of images by UMAP
    'scale': SCALE,  # folders of photos
    'cluster': CLUSTER,  # sweeps on several machines
    'tensorboard': TENSORBOARD,  # --tensorboard
    'test': TEST,
    'docs': DOCS,  # building the documentation
    # The oracles of the parity tests. pytorch-grad-cam and zennit come on their
    # own, with --no-deps: they name torchvision, which the tests do not need.
    'parity': [*TEST, *PARITY, *CLUSTER, *TENSORBOARD, *UMAP],
  },
)
