"""The command vizlab-run, in a clone."""

from vizlab.commands import vizlab_run

if __name__ == '__main__':
  vizlab_run()
