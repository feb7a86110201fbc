// Drives MCP's tasks with the official packages: `node tasks.mjs URL TOKEN ERA MODULES`. Prints what came of it as JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, token, era, modules] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/x.js`));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
const { createTaskSessionFromClient, resultFromTaskOutcome, toolDeclarationFromMcpTool } = await import(
  pathToFileURL(`${modules}/@modelcontextprotocol/ext-tasks/dist/client/index.js`)
);

const modern = era === "modern";
const asked = [];
const elicited = (params) => {
  asked.push(params.message);
  return { action: "accept", content: { answer: "blue" } };
};
const about = { name: "tasks", version: "1" };
const options = { capabilities: { elicitation: {} } };
if (modern) options.versionNegotiation = { mode: { pin: "2026-07-28" } };
const client = new Client(about, options);
client.setRequestHandler("elicitation/create", (request) => elicited(request.params));
const headers = { Authorization: `Bearer ${token}` };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const { tools } = await client.listTools();

let number = 0;
async function rawDispatch(request) {
  const name = request.params?.name ?? request.params?.taskId;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      ...headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": request.method,
      ...(name ? { "Mcp-Name": name } : {}),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: `raw-${++number}`, ...request }),
  });
  const text = await response.text();
  const lines = text.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  const message = JSON.parse(lines.length ? lines.at(-1).slice(5) : text);
  return message.error ? { kind: "error", error: message.error } : { kind: "result", result: message.result };
}

const framing = { protocolVersion: "2026-07-28", clientInfo: about, clientCapabilities: { elicitation: {} } };
const session = createTaskSessionFromClient(client, {
  endpointId: "host",
  ...(modern ? { rawDispatch, v2RequestFraming: framing } : {}),
  tools: { currentTool: (name) => tools.filter((tool) => tool.name === name).map(toolDeclarationFromMcpTool)[0] },
  onInputRequest: async (request) => elicited(request.params),
});

const wish = { task: { preference: "prefer" } };
async function call(name, text) {
  const execution = await session.callTool(name, { text }, wish);
  const { outcome, lastTask } = await execution.settle();
  const result = resultFromTaskOutcome(outcome);
  return { kind: execution.kind, status: lastTask?.status, text: result.content[0].text };
}

const quick = await call("echo", "one");
const late = await call("late", "ask me");
const slow = await session.callTool("sleeper", { text: "sleep" }, wish);
await slow.cancel();
const { outcome } = await slow.settle();
console.log(JSON.stringify({ quick, late, cancelled: { kind: slow.kind, outcome: outcome.status }, asked }));
await session.close();
await client.close();
