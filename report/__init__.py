from . import crm_stage_report
