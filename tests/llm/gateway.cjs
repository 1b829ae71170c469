// gateway.cjs - node --require this: @portkey-ai/gateway, on loopback and with streams.
// Its release adds to the headers of what fetch gave it, which the @hono/node-server that npm installs beside it no longer copies: every stream would
// end as "TypeError: immutable". So fetch gives responses whose headers may be added to. Nothing else of the gateway is touched.
require("../mcp/loopback.cjs");
const fetched = globalThis.fetch;
const Whole = globalThis.Response;
globalThis.fetch = async function (...what) {
    const r = await fetched(...what);
    return new Whole(r.body, { status: r.status, statusText: r.statusText, headers: new Headers(r.headers) });
};
// What it prints after its reader has gone goes nowhere.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
