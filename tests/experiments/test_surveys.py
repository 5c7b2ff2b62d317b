from vizlab import nets
from vizlab_experiments.shared.surveys import rectified


def test_concatenations_of_relus_count_as_rectified():
  net = nets.create('googlenet', classifier=False)
  found = rectified(net)
  assert {'conv1/relu_7x7', 'inception_5b/output'} <= found
  assert not {'conv1/7x7_s2', 'pool1/3x3_s2', 'pool1/norm1'} & found
