import { DomainSelector } from "@web/core/domain_selector/domain_selector";
import { getDomainDisplayedOperators } from "@web/core/domain_selector/domain_selector_operator_editor";
import { getDefaultCondition } from "@web/core/domain_selector/utils";
import { registry } from "@web/core/registry";
import { condition } from "@web/core/tree_editor/condition_tree";
import { getDefaultValue } from "@web/core/tree_editor/tree_editor_value_editors";
import { sortBy } from "@web/core/utils/arrays";
import { DomainField, domainField } from "@web/views/fields/domain/domain_field";

// What people know of quotations, meetings, activities and opportunities: offered first, in this order.
const KNOWN_FIELDS = [
    "opportunity_id",
    "crm_stage_lead_id",
    "activity_type_id",
    "amount_total",
    "amount_untaxed",
    "expected_revenue",
    "categ_ids",
    "team_id",
    "user_id",
    "partner_id",
    "partner_ids",
    "tag_ids",
    "name",
    "summary",
    "priority",
    "date_order",
    "validity_date",
    "date_deadline",
    "start",
    "stop",
    "location",
    "source_id",
    "medium_id",
    "campaign_id",
    "city",
    "zip",
    "state_id",
    "country_id",
    "stage_id",
    "probability",
    "state",
];

function getKnownNames(fieldDefs) {
    // Of documents that have activities, it is the type of the next one.
    const isKnown = (name) =>
        name in fieldDefs && !(name === "activity_type_id" && "activity_ids" in fieldDefs);
    return KNOWN_FIELDS.filter(isKnown);
}

export function sortFieldNames(fieldDefs) {
    const known = getKnownNames(fieldDefs);
    const others = Object.keys(fieldDefs).filter((name) => !known.includes(name));
    return [...known, ...sortBy(others, (name) => fieldDefs[name].string)];
}

export class StageConditionSelector extends DomainSelector {
    /**
     * Archived documents count as any others do.
     *
     * @override
     */
    getShowArchivedCheckBox() {
        return false;
    }

    /**
     * @override
     */
    getDefaultCondition(fieldDefs) {
        // Which opportunity it is, is what nobody asks for: they ask for something of it.
        const name = getKnownNames(fieldDefs).find((name) => fieldDefs[name].relation !== "crm.lead");
        if (!name) {
            return getDefaultCondition(fieldDefs);
        }
        const [operator] = getDomainDisplayedOperators(fieldDefs[name]);
        return condition(name, operator, getDefaultValue(fieldDefs[name], operator));
    }

    /**
     * @override
     */
    getPathEditorInfo() {
        const info = super.getPathEditorInfo(...arguments);
        return {
            ...info,
            extractProps: (params) => ({ ...info.extractProps(params), sort: sortFieldNames }),
        };
    }
}

/** Odoo's editor of domains, for the condition of an automation. */
export class StageConditionField extends DomainField {
    static template = "crm_sales_stage.StageConditionField";
    static components = { ...DomainField.components, DomainSelector: StageConditionSelector };

    get hasCondition() {
        return this.getDomain() !== "[]";
    }
}

registry.category("fields").add("crm_sales_stage_condition", {
    ...domainField,
    component: StageConditionField,
    additionalClasses: ["o_field_domain"],
});
