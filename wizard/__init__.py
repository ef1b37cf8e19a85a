from . import crm_lead_lost
from . import crm_stage_automation_preview
from . import crm_stage_delete_wizard
from . import crm_stage_export_wizard
from . import crm_stage_import_wizard
from . import crm_stage_setup_wizard
