"""Any function as a network: names, edits and rules from its traced program."""

from vizlab.nets.functions.net import FunctionNet, from_function

__all__ = ['FunctionNet', 'from_function']
