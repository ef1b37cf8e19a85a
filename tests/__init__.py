from . import test_crm_lead
from . import test_crm_stage
from . import test_crm_stage_delete
from . import test_crm_stage_pipeline
from . import test_crm_stage_rights
from . import test_install
from . import test_translations
from . import test_ui_pipeline_stages
