// Drives an agent with the official client of npm and prints what it sees, a JSON value a line.
// node drive.mjs URL AGENT BINDING VERSION TOKEN
import { randomUUID } from 'node:crypto';
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { Role } from '@a2a-js/sdk';

const [url, agent, binding, version, token] = process.argv.slice(2);
const fetchImpl = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${token}`);
  return fetch(input, { ...init, headers });
};
const legacyCompat = { enabled: true };
const resolver = new DefaultAgentCardResolver({ fetchImpl, legacyCompat });
const card = await resolver.resolve(url, `/a2a/${agent}/.well-known/agent-card.json`);
card.supportedInterfaces = card.supportedInterfaces.filter(
  (each) => each.protocolBinding === binding && each.protocolVersion === version,
);
const factory = new ClientFactory({
  transports: [new JsonRpcTransportFactory({ fetchImpl, legacyCompat }), new RestTransportFactory({ fetchImpl, legacyCompat })],
  cardResolver: resolver,
});
const client = await factory.createFromAgentCard(card);
const tell = (value) => console.log(JSON.stringify(value));
const message = (text, taskId = '') => ({
  tenant: '',
  message: {
    messageId: randomUUID(), contextId: '', taskId, role: Role.ROLE_USER, metadata: undefined, extensions: [], referenceTaskIds: [],
    parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: '' }],
  },
  configuration: undefined,
  metadata: undefined,
});
const words = (parts) => parts.map((part) => part.content.value).join('');

const asked = await client.sendMessage(message('go'));
const task = asked.payload?.value ?? asked;
tell({ state: task.status.state, question: words([task.status.message.parts[0]]) });
const streamed = [];
for await (const event of client.sendMessageStream(message('blue', task.id))) {
  streamed.push(event.payload.$case);
  if (event.payload.$case === 'statusUpdate') tell({ state: event.payload.value.status.state });
}
tell({ streamed });
const done = await client.getTask({ tenant: '', id: task.id, historyLength: undefined });
tell({ answer: words(done.artifacts[0].parts), history: done.history.map((said) => words([said.parts[0]])) });
try {
  await client.getTask({ tenant: '', id: 'nothing', historyLength: undefined });
  tell({ error: null });
} catch (error) {
  tell({ error: error.name });
}
