"""What is of use anywhere, and knows nothing of sales."""

from contextlib import contextmanager
from copy import deepcopy
from enum import Enum
from types import SimpleNamespace

from odoo.exceptions import ConcurrencyError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

# What a move takes over from the context of the business action. Its default values, or its wish not to be
# tracked, are not for the opportunity.
KEPT_CONTEXT = ("lang", "tz", "uid", "allowed_company_ids")

# Failures that go away when the whole transaction is tried again, as Odoo does for requests
CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)

# Odoo's context keys of what nobody tries again: scheduled jobs, e-mails fetched from a mailbox, imports. A
# client that sends them loses nothing: what meets a conflict is moved by the scheduled job.
NOT_TRIED_AGAIN = ("cron_id", "default_fetchmail_server_id", "_import_current_module")


class Switch(Enum):
    """What switches something of ours on in a context.

    A client may send any context. No JSON is this object, so a client switches nothing.
    """

    ON = "on"


ON = Switch.ON


# Keys of the cursor's cache, which Odoo empties when a transaction ends or goes back to a savepoint: what is
# read of stages and automations once in a transaction
ORDERED_STAGES = "crm_sales_stage.ordered_stages"
LISTENING = "crm_sales_stage.listening"
ARRIVALS = "crm_sales_stage.arrivals"


def forget(cr):
    """Have it read anew, after stages or automations have changed."""
    for key in (ORDERED_STAGES, LISTENING, ARRIVALS):
        cr.cache.pop(key, None)


@contextmanager
def attempt(env, raised=()):
    """Try what is done in here: where it fails, nothing of it stays, and the caller goes on.

    What was pending before is no part of it: it is flushed first, and fails as it would without the attempt.

    A savepoint alone is not enough. Beside the transaction, Odoo keeps what is to be done on committing:
    trackings to post, e-mails to send. What failed must not leave its own there. And when another savepoint
    is opened in here, Odoo posts the pending trackings of all records, which rolling back would lose.

    :param raised: types of exceptions that the caller is to meet all the same
    :return: context manager of an object whose ``error`` is what was raised, if anything
    """
    env.flush_all()
    cr, made = env.cr, SimpleNamespace(error=None)
    queues = (cr.precommit, cr.postcommit, cr.prerollback, cr.postrollback)
    kept = [(queue, list(queue._funcs), deepcopy(queue.data)) for queue in queues]
    try:
        # A savepoint that flushes would post the pending trackings, too early.
        with cr.savepoint(flush=False):
            yield made
            env.flush_all()
    except BaseException as error:
        env.clear()
        for queue, functions, data in kept:
            queue.clear()
            queue.data.update(data)
            for function in functions:
                queue.add(function)
        if isinstance(error, raised) or not isinstance(error, Exception):
            raise
        made.error = error  # whatever it is: the caller decides what follows from it


def get_button(name, model, method, *args, reload=False):
    """
    :param model: name of a model, of whose ``method`` ``args`` are the arguments
    :param bool reload: whether the screen shows something else afterwards
    :return: button of a notification, for ``get_done_action``
    """
    return {"name": name, "model": model, "method": method, "args": list(args), "reload": reload}


def get_done_action(message, buttons=(), **options):
    """
    :param buttons: from ``get_button``: what leads back, or to the records that were changed
    :param options: ``type`` of the notification, ``sticky``, and the ``next`` action
    :return: action that shows the user what was done, and closes the dialog that it was called from
    """
    params = {"message": message, "buttons": list(buttons), "next": {"type": "ir.actions.act_window_close"}}
    return {
        "type": "ir.actions.client",
        "tag": "crm_sales_stage_done",
        "params": {**params, **options},
    }


def by_count(count, one, many):
    """:return: ``one`` if ``count`` is 1, otherwise ``many``: two texts, as translations need literals"""
    return one if count == 1 else many


def drop_empty(records, vals, names):
    """
    :return: ``vals`` without those of the fields ``names`` that come from empty cells of an imported file: 0
        is a value, and so is a box that is not ticked
    """

    def is_empty(name, value):
        return value is None or (value is False and records._fields[name].type != "boolean")

    return {name: value for name, value in vals.items() if name not in names or not is_empty(name, value)}


def get_range_domain(name, after, until):
    """
    :param after: None when there is no such bound
    :param until: None when there is no such bound
    :return: ``Domain`` of the records whose field ``name`` is after ``after``, and not after ``until``
    """
    domain = Domain(name, ">", after) if after else Domain.TRUE
    return domain & Domain(name, "<=", until) if until else domain
