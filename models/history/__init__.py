from . import crm_stage_stay
from . import crm_lead
