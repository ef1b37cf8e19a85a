from . import crm_lead
from . import crm_stage
from . import ir_module_module
