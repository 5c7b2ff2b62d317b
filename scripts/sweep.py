"""The command vizlab-sweep, in a clone."""

from vizlab.commands import vizlab_sweep

if __name__ == '__main__':
  vizlab_sweep()
