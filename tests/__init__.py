from . import test_crm_stage_delete
from . import test_crm_stage_pipeline
from . import test_crm_stage_rights
