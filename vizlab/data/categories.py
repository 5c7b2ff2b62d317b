"""Sixteen everyday categories and their ImageNet classes.

The entry-level categories of Geirhos et al. 2018 (Generalisation in humans and
deep neural networks, section 2.1), with their mapping of the 1,000 classes.
"""

__all__ = ['SIXTEEN']


def _ranges(text: str) -> tuple[int, ...]:
  """Expands ``'8 10-12'`` to numbers."""
  classes: list[int] = []
  for part in text.split():
    first, _, last = part.partition('-')
    classes += range(int(first), int(last or first) + 1)
  return tuple(classes)


SIXTEEN: dict[str, tuple[int, ...]] = {
  name: _ranges(text)
  for name, text in {
    'airplane': '404',
    'bear': '294-297',
    'bicycle': '444 671',
    'bird': '8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145',
    'boat': '472 554 625 814 914',
    'bottle': '440 720 737 898-899 901 907',
    'car': '436 511 817',
    'cat': '281-286',
    'chair': '423 559 765 857',
    'clock': '409 530 892',
    'dog': '152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 '
    '265-268',
    'elephant': '385 386',
    'keyboard': '508 878',
    'knife': '499',
    'oven': '766',
    'truck': '555 569 656 675 717 734 864 867',
  }.items()
}
