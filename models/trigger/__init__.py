from . import crm_stage_trigger_mixin
from . import crm_lead
from . import sale_order
from . import calendar_event
from . import mail_activity
from . import mail_message
from . import mail_thread
