// Drives a host with the official client of 2025-11-25, @modelcontextprotocol/sdk: `node sdk.mjs URL TOKEN MODULES`.
// Prints what came of it as JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, token, modules] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/x.js`));
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const types = await load("types.js");

const seen = { asked: [], logged: [], progress: [], updated: [], tasks: [] };
const client = new Client(
  { name: "sdk", version: "1" },
  { capabilities: { elicitation: { form: {} }, tasks: { requests: { elicitation: { create: {} } } } } },
);
client.setRequestHandler(types.ElicitRequestSchema, (request) => {
  seen.asked.push(request.params.message);
  return { action: "accept", content: { answer: "blue" } };
});
client.setNotificationHandler(types.LoggingMessageNotificationSchema, (told) => void seen.logged.push(told.params.level));
client.setNotificationHandler(types.ResourceUpdatedNotificationSchema, (told) => void seen.updated.push(told.params.uri));
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
await client.connect(transport);
seen.server = client.getServerVersion();
seen.version = transport.protocolVersion;
await client.ping();
await client.setLoggingLevel("debug");

const words = (result) => result.content.map((block) => block.text ?? block.uri).join("\n");
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
const on = { onprogress: (each) => seen.progress.push(each.progress) };
seen.said = words(await client.callTool({ name: "echo", arguments: { text: "hello" } }, undefined, on));
seen.mark = (await client.callTool({ name: "judge", arguments: { text: "mark it" } })).structuredContent;
seen.colour = words(await client.callTool({ name: "asker", arguments: { text: "ask me" } }));
const wrong = await client.callTool({ name: "echo", arguments: {} });
seen.wrong = { isError: wrong.isError, text: words(wrong) };
seen.unknown = await client.callTool({ name: "nobody", arguments: {} }).catch((error) => error.code);

const written = await client.callTool({ name: "writer", arguments: { text: "note" } });
const task = written._meta["dev.agenthost/task"];
const link = written.content.find((block) => block.type === "resource_link");
seen.file = (await client.readResource({ uri: link.uri })).contents[0].text;
seen.missing = await client.readResource({ uri: "test://nowhere" }).catch((error) => error.code);
seen.listed = (await client.listResources()).resources.map((each) => each.name);
seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((each) => each.uriTemplate);
await client.subscribeResource({ uri: `agenthost://tasks/${task}` });
await client.unsubscribeResource({ uri: `agenthost://tasks/${task}` });
seen.prompt = (await client.getPrompt({ name: "greet", arguments: { name: "Ada" } })).messages[0].content.text;
seen.prompts = (await client.listPrompts()).prompts.map((each) => each.name);
const completion = { ref: { type: "ref/resource", uri: "agenthost://tasks/{task}" }, argument: { name: "task", value: task } };
seen.completed = (await client.complete(completion)).completion.values;

async function asTask(name, text) {
  const states = [];
  const wanted = { task: { ttl: 60000 } };
  for await (const each of client.experimental.tasks.callToolStream({ name, arguments: { text } }, undefined, wanted)) {
    states.push(each.type === "taskStatus" ? each.task.status : each.type);
    if (each.type === "result") return { states, text: words(each.result) };
    if (each.type === "error") return { states, error: each.error.message };
  }
  return { states };
}
seen.tasks.push(await asTask("echo", "one"), await asTask("late", "ask me"), await asTask("judge", "mark it"));
const listed = await client.experimental.tasks.listTasks();
seen.known = listed.tasks.length;
await transport.terminateSession();
seen.ended = await client.ping().catch((error) => error.code ?? String(error));
console.log(JSON.stringify(seen));
await client.close();
