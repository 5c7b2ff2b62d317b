"""Extensions of Sphinx for the documentation of vizlab."""
