from . import test_crm_stage_automation
from . import test_crm_stage_trigger_mixin
from . import test_ir_actions_server
from . import test_security_automation
from . import test_ui_automation
