// The AI SDK, by both of its providers, against a host. Prints what it found as one JSON object.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { URL_, TOKEN, PICTURE } = process.env;
const chat = createOpenAICompatible({
  name: "agenthost",
  baseURL: URL_,
  apiKey: TOKEN,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const responses = createOpenAI({ baseURL: URL_, apiKey: TOKEN });
const weather = tool({
  description: "Tells the weather.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `fine in ${city}`,
});
const found = {};

for (const [name, model] of Object.entries({ chat: chat("helper"), responses: responses.responses("helper") })) {
  const made = (found[name] = {});
  const plain = await generateText({ model, prompt: "hello" });
  made.text = [plain.text, plain.finishReason, plain.usage.totalTokens > 0];

  const stream = streamText({ model, prompt: "slowly" });
  let pieces = 0;
  for await (const _ of stream.textStream) pieces++;
  made.stream = [await stream.text, pieces > 4, (await stream.usage).totalTokens > 0];

  const tools = await generateText({ model, prompt: "two cities", tools: { weather }, stopWhen: stepCountIs(3) });
  made.tools = [tools.text, tools.steps.length, tools.steps[0].toolCalls.map((call) => call.input.city)];

  const streamed = streamText({ model, prompt: "two cities", tools: { weather }, stopWhen: stepCountIs(3) });
  for await (const _ of streamed.fullStream);
  made.streamedTools = [await streamed.text, (await streamed.steps).length];

  const object = await generateObject({ model, prompt: "a number", schema: z.object({ n: z.number().int() }) });
  made.object = object.object;

  const content = [
    { type: "text", text: "look" },
    { type: "file", data: PICTURE.split(",")[1], mediaType: "image/png" },
  ];
  made.picture = (await generateText({ model, messages: [{ role: "user", content }] })).text;

  const messages = [{ role: "user", content: "hello" }, ...plain.response.messages, { role: "user", content: "again" }];
  made.again = (await generateText({ model, messages, system: "Be brief." })).text;

  try {
    await generateText({ model, prompt: "break", maxRetries: 0 });
  } catch (error) {
    made.error = [error.name, error.statusCode];
  }
}
const thinking = await generateText({ model: chat("helper"), prompt: "think" });
found.reasoning = [thinking.reasoningText, thinking.text];
console.log(JSON.stringify(found));
