"""Names of the files that a run leaves in its work directory."""

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
ITEMS = 'items'  # of what is done in parts; gone when it is whole
CHECKPOINTS = 'checkpoints'
TENSORBOARD = 'tensorboard'
