"""Why an automation does not work, in words."""

import re

import psycopg2

from odoo.exceptions import UserError

# A fault is read by users: longer texts of other addons, or of the database, are cut
MAX_REASON_LENGTH = 250


class AutomationError(UserError):
    """Why an automation does not work, and what to do: in the language of the user who meets it, and of each
    of its managers.
    """

    def __init__(self, env, message):
        """:param LazyGettext message: why, and what to do"""
        self.lazy_message = message
        super().__init__(self.get_text(env))

    def get_text(self, env):
        """:return: why, and what to do, in the language of ``env``"""
        return env._(self.lazy_message)


def get_reason(error):
    """:return: why something failed, for users: one short text, without rows of the database"""
    try:
        if isinstance(error, psycopg2.Error):
            # What it quotes after a colon, and its other parts, are values of rows.
            reason = (error.diag.message_primary or type(error).__name__).partition(': "')[0]
        elif isinstance(error, UserError):
            reason = str(error)
        else:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    except Exception:  # an error without a text must not become another one
        reason = ""
    # The database takes neither control characters nor halves of characters.
    reason = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff]", "", reason)[:MAX_REASON_LENGTH]
    return reason or type(error).__name__


def get_text(env, error, part):
    """
    :param str part: what of the automation failed: its ``condition``, its ``trigger`` or the ``move``
    :return: why an automation does not work, and what to do, in the language of ``env``
    """
    if isinstance(error, AutomationError):
        return error.get_text(env)
    reason = get_reason(error)
    if part == "condition":
        return env._(
            "The condition does not work any more: %s\nSet another condition, or leave it empty.", reason
        )
    if part == "trigger":
        return env._(
            "The opportunities of the documents cannot be found: %s\n"
            "An addon says which ones they are: have an administrator look at the server's log.",
            reason,
        )
    return env._(
        "The opportunities cannot be moved: %s\n"
        "See to it that somebody can move them by hand, or choose another stage. The automation then "
        "goes on by itself; the server's log tells more.",
        reason,
    )
