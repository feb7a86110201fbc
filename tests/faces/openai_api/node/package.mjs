// The official package of npm, against a host. Prints what it found as one JSON object.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { URL_, TOKEN, PICTURE } = process.env;
const client = new OpenAI({ baseURL: URL_, apiKey: TOKEN });
const found = {};

found.models = [];
for await (const model of client.models.list()) found.models.push(model.id);

const chat = await client.chat.completions.create({ model: "helper", messages: [{ role: "user", content: "hello" }] });
found.chat = chat.choices[0].message.content;
found.usage = chat.usage.total_tokens > 0;

const pieces = [];
for await (const chunk of await client.chat.completions.create({
  model: "helper",
  messages: [{ role: "user", content: "slowly" }],
  stream: true,
}))
  if (chunk.choices[0]?.delta?.content) pieces.push(chunk.choices[0].delta.content);
found.pieces = pieces.length > 4;
found.streamed = pieces.join("");

const tool = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    parse: JSON.parse,
    function: ({ city }) => `fine in ${city}`,
  },
};
for (const stream of [false, true]) {
  const runner = client.chat.completions.runTools({
    model: "helper",
    messages: [{ role: "user", content: "two cities" }],
    tools: [tool],
    stream,
  });
  found[stream ? "streamedTools" : "tools"] = await runner.finalContent();
}

const parsed = await client.chat.completions.parse({
  model: "helper",
  messages: [{ role: "user", content: "a number" }],
  response_format: zodResponseFormat(z.object({ n: z.number().int() }), "number"),
});
found.parsed = parsed.choices[0].message.parsed;

const picture = await client.chat.completions.create({
  model: "helper",
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "image_url", image_url: { url: PICTURE } },
      ],
    },
  ],
});
found.picture = picture.choices[0].message.content;

const first = await client.responses.create({ model: "helper", input: "one" });
const second = await client.responses.create({ model: "helper", input: "two", previous_response_id: first.id });
found.responses = [first.output_text, second.output_text];
const stream = client.responses.stream({ model: "helper", input: "slowly" });
let said = "";
stream.on("response.output_text.delta", (event) => (said += event.delta));
found.responseStream = [said, (await stream.finalResponse()).output_text];
found.responseStream[0] = said;

const background = await client.responses.create({ model: "helper", input: "slowly", background: true });
let polled = background;
while (["queued", "in_progress"].includes(polled.status)) polled = await client.responses.retrieve(background.id);
found.background = polled.output_text;

const file = await client.files.create({ file: new File(["remember the milk"], "notes.txt"), purpose: "user_data" });
const held = await client.responses.create({
  model: "helper",
  input: [{ role: "user", content: [{ type: "input_text", text: "read" }, { type: "input_file", file_id: file.id }] }],
});
found.file = [file.filename, await (await client.files.content(file.id)).text(), held.output_text];
await client.files.delete(file.id);
found.files = [];
for await (const left of client.files.list()) found.files.push(left.id);

const talk = await client.conversations.create({ items: [{ role: "user", content: "What is left?" }] });
await client.responses.create({ model: "helper", input: "one", conversation: talk.id });
found.conversation = [];
for await (const item of client.conversations.items.list(talk.id, { order: "asc", limit: 2 }))
  found.conversation.push([item.role, item.content[0].text]);
found.gone = (await client.conversations.delete(talk.id)).deleted;

const vectors = await client.embeddings.create({ model: "fake:embedding", input: ["one", "two"] });
found.vectors = vectors.data.map((each) => each.embedding.length);

found.errors = {};
for (const [name, make] of Object.entries({
  model: () => client.chat.completions.create({ model: "none", messages: [{ role: "user", content: "x" }] }),
  n: () => client.chat.completions.create({ model: "helper", n: 20, messages: [{ role: "user", content: "x" }] }),
  key: () => client.withOptions({ apiKey: "wrong" }).models.list(),
  task: () => client.chat.completions.create({ model: "helper", messages: [{ role: "user", content: "break" }] }),
  stream: async () => {
    for await (const _ of await client.chat.completions.create({
      model: "helper",
      messages: [{ role: "user", content: "break" }],
      stream: true,
    }));
  },
}))
  try {
    await make();
  } catch (error) {
    found.errors[name] = [error.constructor.name, error.status ?? null, error.code ?? null, error.param ?? null];
  }
console.log(JSON.stringify(found));
