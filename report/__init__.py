from . import crm_stage_report
from . import crm_lead
from . import crm_stage
from . import ir_actions_act_window_view
from . import ir_ui_view
