"""Three inner modules of each net and the names we give their outputs."""

INNER = {
  'alexnet': {
    'features.2': 'pool1',
    'features.9': 'relu4',
    'classifier.1': 'fc6',
  },
  'caffe_alexnet': {'conv1': 'conv1', 'conv4': 'conv4', 'fc7': 'fc7'},
  'alexnet_cam': {'conv2': 'conv2', 'conv5': 'conv5', 'conv7': 'conv7'},
  'zfnet': {'conv2': 'conv2', 'conv5': 'conv5', 'fc6': 'fc6'},
  'vgg11': {
    'features.1': 'relu1_1',
    'features.13': 'conv4_2',
    'avgpool': 'avgpool',
  },
  'vgg13': {
    'features.4': 'pool1',
    'features.22': 'conv5_2',
    'classifier.0': 'fc6',
  },
  'vgg16': {
    'features.3': 'relu1_2',
    'features.28': 'conv5_3',
    'classifier.3': 'fc7',
  },
  'vgg19': {
    'features.18': 'pool3',
    'features.35': 'relu5_4',
    'classifier.4': 'relu7',
  },
  'vgg11_bn': {
    'features.1': 'bn1_1',
    'features.24': 'relu5_1',
    'features.28': 'pool5',
  },
  'vgg13_bn': {
    'features.4': 'bn1_2',
    'features.17': 'conv3_2',
    'features.34': 'pool5',
  },
  'vgg16_bn': {
    'features.5': 'relu1_2',
    'features.40': 'conv5_3',
    'classifier.0': 'fc6',
  },
  'vgg19_bn': {
    'features.26': 'pool3',
    'features.51': 'relu5_4',
    'classifier.3': 'fc7',
  },
  'vgg16_cam': {
    'conv1_2': 'conv1_2',
    'conv5_3': 'conv5_3',
    'CAM_conv': 'CAM_conv',
  },
  'googlenet_bn': {
    'conv3.bn': 'conv3.bn',
    'inception4c': 'inception4c',
    'inception5b.branch4.0': 'inception5b.branch4.0',
  },
  'inception_v3': {
    'Mixed_5b.branch_pool.conv': 'Mixed_5b.branch_pool.conv',
    'Mixed_6e.branch7x7dbl_4': 'Mixed_6e.branch7x7dbl_4',
    'Mixed_7b': 'Mixed_7b',
  },
  'densenet121': {
    'features.denseblock2.denselayer3': 'denseblock2.denselayer3.concat',
    'features.transition2': 'transition2.pool',
    'features.denseblock4': 'denseblock4',
  },
  'all_cnn_c': {'conv3': 'conv3', 'conv7': 'conv7', 'conv9': 'conv9'},
  'squeezenet11': {
    'features.0': 'conv1',
    'features.5': 'pool3',
    'features.12': 'fire9/concat',
  },
  'resnet18': {
    'bn1': 'bn1',
    'layer2.0': 'layer2.0',
    'layer4.1.conv2': 'layer4.1.conv2',
  },
  'resnet34': {
    'layer1.2': 'layer1.2',
    'layer3.5': 'layer3.5',
    'layer4.0.bn2': 'layer4.0.bn2',
  },
  **{
    name: {
      'layer1.0.conv3': 'layer1.0.conv3',
      'layer3.22': 'layer3.22',
      'layer4.2': 'layer4.2',
    }
    for name in ('resnet101', 'resnet152')
  },
  'resnet50': {
    'maxpool': 'maxpool',
    'layer3.0.downsample.1': 'layer3.0.downsample.1',
    'layer4.2': 'layer4.2',
  },
  'vit_b_16': {
    'encoder.layers.encoder_layer_0.ln_1': (
      'encoder.layers.encoder_layer_0.ln_1'
    ),
    'encoder.layers.encoder_layer_5': 'encoder.layers.encoder_layer_5',
    'encoder.ln': 'encoder.ln',
  },
  'googlenet': {
    'conv2/3x3': 'conv2/3x3',
    'inception_4c/output': 'inception_4c/output',
    'inception_5b/5x5': 'inception_5b/5x5',
  },
  **{
    name: {
      'layer1.0': 'layer1.0',
      'layer2.0': 'layer2.0',
      'layer3.1.bn2': 'layer3.1.bn2',
    }
    for name in ('resnet20', 'resnet32', 'resnet44', 'resnet56')
  },
  'minivgg': {'conv1_1': 'conv1_1', 'conv3_2': 'conv3_2', 'conv5_2': 'conv5_2'},
}
