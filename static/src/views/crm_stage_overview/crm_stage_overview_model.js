import { KeepLast } from "@web/core/utils/concurrency";
import { Model } from "@web/model/model";

/** The figures of all stages, as the server counts them: see get_overview of crm.stage.report. */
export class CrmStageOverviewModel extends Model {
    /**
     * @override
     */
    setup({ resModel }) {
        this.resModel = resModel;
        this.keepLast = new KeepLast();
        this.stages = [];
        this.domains = {};
    }

    /**
     * @override
     */
    async load({ context, domain }) {
        const overview = await this.keepLast.add(
            this.orm.call(this.resModel, "get_overview", [domain], { context })
        );
        Object.assign(this, overview);
        this.notify();
    }

    /**
     * @override
     */
    hasData() {
        return this.stages.length > 0;
    }
}
