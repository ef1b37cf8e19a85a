// As near to Odoo's own style as prettier comes. pre-commit tells Node.js by NODE_PATH where the plugin is.
module.exports = {
    plugins: [require.resolve("@prettier/plugin-xml")],
    bracketSameLine: true,
    printWidth: 110,
    tabWidth: 4,
    trailingComma: "es5",
    xmlSelfClosingSpace: false,
    // White space is kept as it is: in templates and translated terms it matters.
    xmlWhitespaceSensitivity: "strict",
};
