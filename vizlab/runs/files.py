"""Names of the files in a work directory."""

__all__ = [
  'CHECKPOINTS',
  'COMMAND',
  'CONFIG',
  'DONE',
  'FIGURES',
  'ITEMS',
  'LOCK',
  'METRICS',
  'OVERRIDES',
  'RECORD',
  'REPORT',
  'SITE',
  'TENSORBOARD',
]

CONFIG = 'config.json'
OVERRIDES = 'overrides.json'
COMMAND = 'command.txt'
RECORD = 'run.json'
METRICS = 'metrics.jsonl'
FIGURES = 'figures.json'
REPORT = 'report.html'
DONE = 'DONE'
LOCK = '.lock'
ITEMS = 'items'  # parts of unfinished items
CHECKPOINTS = 'checkpoints'
SITE = 'site'  # pages that link to each other
TENSORBOARD = 'tensorboard'
