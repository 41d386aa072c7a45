"""The one error a user can mend: `main` prints its single line and exits non-zero, without a traceback."""


class UserError(ValueError):
    """Something asked for cannot be done; the message names the file or field and what would be right."""
