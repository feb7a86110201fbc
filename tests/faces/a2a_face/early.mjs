// npm's client of 0.3 drives an agent that asks: `node early.mjs URL BINDING TOKEN`; a line of JSON for each thing it saw.
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";

const [url, binding, token] = process.argv.slice(2);
const tell = (said) => console.log(JSON.stringify(said));
const bearing = (to, init = {}) =>
  fetch(to, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), Authorization: `Bearer ${token}` } });

const options = { fetchImpl: bearing };
const transports = [binding === "JSONRPC" ? new JsonRpcTransportFactory(options) : new RestTransportFactory(options)];
const factory = new ClientFactory({
  transports,
  preferredTransports: [binding],
  cardResolver: new DefaultAgentCardResolver(options),
});
const client = await factory.createFromUrl(url);
const card = await client.getAgentCard();
tell({ card: card.name });

let number = 0;
const message = (text, more = {}) => ({
  message: { kind: "message", messageId: `m${++number}`, role: "user", parts: [{ kind: "text", text }], ...more },
});
const asked = await client.sendMessage(message("go"));
tell({ state: asked.status.state, question: asked.status.message.parts[0].text });
const kinds = [];
for await (const event of client.sendMessageStream(message("blue", { taskId: asked.id }))) kinds.push(event.kind);
tell({ kinds });
const done = await client.getTask({ id: asked.id });
tell({ state: done.status.state, words: done.artifacts[0].parts[0].text });
const other = await client.sendMessage(message("go"));
tell({ canceled: (await client.cancelTask({ id: other.id })).status.state });
await client.getTask({ id: "no-such-task" }).catch((error) => tell({ missing: String(error.message ?? error) }));
