"""What a person is told when something can't be done."""


class JieshuiError(Exception):
    """One sentence that says what is wrong and what to do; the command line prints it and exits."""
