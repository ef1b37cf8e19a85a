import { download, downloadFile } from "@web/core/network/download";

/**
 * Downloads a table as the pivot does.
 *
 * @param {string} model its technical name goes into the name of the file
 * @param {string} title
 * @param {Array} groups of columns: their titles and how many columns they have
 * @param {string[]} headers
 * @param {Array[]} rows title and values each
 */
export function downloadTable(model, title, groups, headers, rows) {
    const table = {
        model,
        title: title.slice(0, 31), // the longest name of a sheet
        measure_count: 1,
        col_group_headers: [groups.map(([title, width]) => ({ title, width, height: 1 }))],
        measure_headers: headers.map((title) => ({ title, is_bold: false })),
        rows: rows.map(([title, ...values]) => ({
            title,
            indent: 0,
            values: values.map((value) => ({ value: value === false ? "" : value })),
        })),
    };
    const data = new Blob([JSON.stringify(table)], { type: "application/json" });
    return download({ url: "/web/pivot/export_xlsx", data: { data } });
}

/** Downloads what a canvas can draw, an image or another canvas, on the colour of the page. */
export function downloadPicture(source, title) {
    const { height, width } = source;
    const canvas = Object.assign(document.createElement("canvas"), { height, width });
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(document.body).backgroundColor;
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0);
    return downloadFile(canvas.toDataURL("image/png"), `${title}.png`, "image/png");
}

/** @returns {Promise<HTMLImageElement>} the element as it is shown, which a canvas can draw */
export async function getImage(element) {
    const { offsetHeight: height, offsetWidth: width } = element;
    const sheets = [...document.styleSheets].filter(({ href }) => !href || href.startsWith(location.origin));
    const style = document.createElement("style");
    style.textContent = sheets
        .flatMap((sheet) => [...sheet.cssRules].map(({ cssText }) => cssText))
        .join("\n");
    const content = [style, element].map((node) => new XMLSerializer().serializeToString(node)).join("");
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><foreignObject
        width="100%" height="100%"><body xmlns="http://www.w3.org/1999/xhtml">${content}</body></foreignObject></svg>`;
    const image = new Image(width, height);
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    await image.decode();
    return image;
}
