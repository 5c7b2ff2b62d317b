"""Measures how nets fool each other: attacks on one, judged by all.

Images that an attack moved to fool one net, and one perturbation for all images
(Moosavi-Dezfooli et al. 2017), are shown to the other nets; and how far the
nearest border of each net is (DeepFool, Moosavi-Dezfooli et al. 2016).

Commands:
  vizlab-run --config=adversarial/transfer --workdir=runs/transfer
  vizlab-convert --source=squeezenet11.npz --preprocess=caffe \\
    --out=squeezenet11.safetensors
  vizlab-run --config=adversarial/transfer \\
    --config.net.weights=vgg19.safetensors --config.net.preprocess=caffe \\
    --config.others=googlenet_bvlc.npz,squeezenet11.safetensors \\
    --config.photos=LABELLED --config.known_photos=FOLDER \\
    --config.known=100 --config.universal_epsilon=0.0392 \\
    --config.universal_steps=100 --config.batch=4 \\
    --workdir=runs/transfer_photos

Runtime: two minutes on 2 CPU cores; 40 minutes for 22 photos on 2 busy ones. A
run that is stopped or killed resumes after the last batch.

Expected: report.html. Within 8/255 an attack fools minivgg about all of 24
scenes, and minivgg_robust about 25 %; what was made for one fools the other
about 4 % (for minivgg) and 17 %. A universal perturbation within 20/255 fools
minivgg about 79 %, and minivgg_robust 8 %, whose nearest border is twice as
far: 0.047 of the length of the image, and 0.024. Of 22 photos VGG-19 is right
about 95 %, GoogLeNet and SqueezeNet 82 %; their borders are at 0.0025, 0.0013
and 0.0007 of the length. An attack on VGG-19 fools the other two 61 and 39 %,
on GoogLeNet 24 (VGG-19) and 33 %, on SqueezeNet 10 and 22 %. A perturbation
within 10/255 misleads 60, 77 and 88 % of the 100 photos that it was found with,
and at most 17 % of others.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """The nets that ship, on scenes."""
  config = ConfigDict()
  config.experiment = 'adversarial/transfer'
  config.seed = 0
  config.net = blocks.net()
  blocks.judging(config)
  config.epsilon = 8 / 255  # radius of the attacks in L-inf, in intensities
  config.steps = 20
  config.nearest_steps = 50  # of DeepFool, at most
  config.candidates = 10  # classes whose borders DeepFool compares
  # Images that the universal perturbation is found with: scenes.
  config.known = 256
  config.known_photos = placeholder(str)  # or photos: a folder or a pattern
  config.universal_epsilon = 20 / 255
  config.universal_steps = 200
  config.universal_batch = 16  # images of each of its steps
  config.batch = 8  # images at once
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.others = ('minivgg_random_labels',)
  config.scenes, config.known, config.batch = 3, 4, 2
  config.steps = config.nearest_steps = config.universal_steps = 2
  config.universal_batch = 2
  config.candidates = 2
  return config


def sweep(add) -> None:
  """Radii of the attack."""
  add(add.product(epsilon=(2 / 255, 4 / 255, 16 / 255)))
