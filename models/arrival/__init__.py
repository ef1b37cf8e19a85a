from . import crm_lead
from . import crm_stage
from . import crm_stage_askable_field
from . import mail_activity
