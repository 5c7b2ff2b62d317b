"""The vision transformer of torchvision, stated plainly in torch."""

import collections

import torch
from torch import nn


class Block(nn.Module):
  def __init__(self, width, heads, hidden):
    super().__init__()
    self.ln_1 = nn.LayerNorm(width, eps=1e-6)
    self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
    self.ln_2 = nn.LayerNorm(width, eps=1e-6)
    self.mlp = nn.Sequential(
      nn.Linear(width, hidden),
      nn.GELU(),
      nn.Dropout(),
      nn.Linear(hidden, width),
      nn.Dropout(),
    )

  def forward(self, x):
    y = self.ln_1(x)
    x = x + self.self_attention(y, y, y, need_weights=False)[0]
    return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
  def __init__(self, tokens, depth, width, heads, hidden):
    super().__init__()
    self.pos_embedding = nn.Parameter(0.2 * torch.randn(1, tokens, width))
    self.layers = nn.Sequential(
      collections.OrderedDict(
        (f'encoder_layer_{i}', Block(width, heads, hidden))
        for i in range(depth)
      )
    )
    self.ln = nn.LayerNorm(width, eps=1e-6)

  def forward(self, x):
    return self.ln(self.layers(x + self.pos_embedding))


class Vit(nn.Module):
  """ViT-B/16 by default; smaller ones have the same names."""

  def __init__(
    self, classes, *, patch=16, grid=14, depth=12, heads=12, width=768,
    hidden=3072,
  ):  # fmt: skip
    super().__init__()
    self.class_token = nn.Parameter(torch.randn(1, 1, width))
    self.conv_proj = nn.Conv2d(3, width, patch, patch)
    self.encoder = Encoder(grid**2 + 1, depth, width, heads, hidden)
    self.heads = nn.Sequential(
      collections.OrderedDict(head=nn.Linear(width, classes))
    )
    for module in self.modules():
      if isinstance(module, nn.LayerNorm):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.uniform_(module.bias, -0.2, 0.2)

  def forward(self, x):
    patches = self.conv_proj(x).flatten(2).transpose(1, 2)
    token = self.class_token.expand(len(x), -1, -1)
    return self.heads(self.encoder(torch.cat([token, patches], 1))[:, 0])
