import { QUICK_CREATE_CALENDAR_EVENT_FIELDS } from "@calendar/views/calendar_form/calendar_quick_create";

// "More Options" takes the tags along.
QUICK_CREATE_CALENDAR_EVENT_FIELDS.categ_ids = { type: "many2many" };
