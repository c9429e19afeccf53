"""The one error that is the user's to mend."""


class UsageError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file or option, the field, and the remedy. The command line prints it
    without a traceback and exits with code 2.
    """
