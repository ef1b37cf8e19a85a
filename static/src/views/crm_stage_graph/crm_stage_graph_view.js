import { registry } from "@web/core/registry";
import { GraphRenderer } from "@web/views/graph/graph_renderer";
import { graphView } from "@web/views/graph/graph_view";
import { downloadPicture, downloadTable } from "../crm_stage_download/crm_stage_download";

class CrmStageGraphRenderer extends GraphRenderer {
    downloadPicture() {
        return downloadPicture(this.canvasRef.el, this.model.metaData.title);
    }

    downloadTable() {
        const { data, metaData } = this.model;
        const groups = [[metaData.measures[metaData.measure].string, data.datasets.length]];
        const headers = data.datasets.map(({ label }) => label);
        const rows = data.labels.map((label, index) => [
            label,
            ...data.datasets.map(({ data }) => data[index]),
        ]);
        return downloadTable(metaData.resModel, metaData.title, groups, headers, rows);
    }
}

/** Odoo's graph, with a table and a picture of it to download. */
registry.category("views").add("crm_stage_graph", {
    ...graphView,
    Renderer: CrmStageGraphRenderer,
    buttonTemplate: "crm_sales_stage.GraphButtons",
});
