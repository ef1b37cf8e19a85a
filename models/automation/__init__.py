from . import ir_actions_server
from . import crm_stage_automation
from . import crm_stage_automation_move
from . import crm_lead
from . import crm_stage
from . import calendar_event_type
