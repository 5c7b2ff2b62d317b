"""The command vizlab-convert, in a clone."""

from vizlab.commands import vizlab_convert

if __name__ == '__main__':
  vizlab_convert()
