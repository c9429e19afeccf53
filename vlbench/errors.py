"""The errors that are the user's to mend."""


class UsageError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file or option, the field, and the remedy. The command line prints it
    without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class IncomparableError(UsageError):
    """What was to be compared is missing, was altered, or belongs to something else: nothing can be judged by it."""

    exit_code = 6
