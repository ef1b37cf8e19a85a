import { archiveStages } from "@crm_sales_stage/actions/archive_stages";
import { registry } from "@web/core/registry";
import { formView } from "@web/views/form/form_view";
import { listView } from "@web/views/list/list_view";

/** Lets Archive say what it brings about, as the gear of a column does. */
const makeArchivingView = (view, getIds) => ({
    ...view,
    Controller: class extends view.Controller {
        /**
         * @override
         */
        getStaticActionMenuItems() {
            const items = super.getStaticActionMenuItems();
            items.archive.callback = async () => {
                const { root } = this.model;
                await archiveStages(this.env.services, await getIds(root), () => root.load());
            };
            return items;
        }
    },
});

const views = registry.category("views");
views.add(
    "crm_sales_stage_form",
    makeArchivingView(formView, ({ resId }) => [resId])
);
views.add(
    "crm_sales_stage_list",
    makeArchivingView(listView, (root) => root.getResIds(true))
);
