from . import crm_stage_stay
from . import crm_stage_report
from . import crm_lead
from . import crm_stage
from . import crm_stage_rotting
