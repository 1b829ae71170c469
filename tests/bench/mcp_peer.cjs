// mcp_peer.cjs MODULES TOOLS.json [--stdio] - the other side of section o: an MCP server on the official TypeScript SDK (@modelcontextprotocol/server,
// and its adapter for node:http), as its README says to write one. It offers the tools that TOOLS.json lists, which is what pawl listed. Prints its port.
// `echo` gives its text back; the others give a fixed text. Nothing is kept: this is the peer in memory.
const http = require("node:http");
const path = require("node:path");
const fs = require("node:fs");
const { createRequire } = require("node:module");

const [modules, listed, door] = process.argv.slice(2);
const from = createRequire(path.join(modules, "peer.js"));
const { McpServer, createMcpHandler, fromJsonSchema } = from("@modelcontextprotocol/server");

const fixed = { content: [{ type: "text", text: "x".repeat(200) }] };
const tools = JSON.parse(fs.readFileSync(listed, "utf8")).map((tool) => ({
  name: tool.name,
  config: { title: tool.title, description: tool.description, annotations: tool.annotations, inputSchema: fromJsonSchema(tool.inputSchema) },
  call: tool.name === "echo" ? async ({ text }) => ({ content: [{ type: "text", text }] }) : async () => fixed,
}));

function server() {
  const s = new McpServer({ name: "peer", version: "1.0.0" }, { capabilities: { tools: { listChanged: true } } });
  for (const tool of tools) {
    s.registerTool(tool.name, tool.config, tool.call);
  }
  return s;
}

if (door === "--stdio") {
  from("@modelcontextprotocol/server/stdio").serveStdio(server);
} else {
  const { toNodeHandler, localhostHostValidation, localhostOriginValidation } = from("@modelcontextprotocol/node");
  const host = localhostHostValidation();
  const origin = localhostOriginValidation();
  const handle = toNodeHandler(createMcpHandler(server, { maxSubscriptions: 100000 }));
  const listener = http.createServer((request, response) => {
    if (host(request, response) && origin(request, response)) {
      void handle(request, response);
    }
  });
  listener.keepAliveTimeout = 300000;
  listener.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => console.log(listener.address().port));
}
