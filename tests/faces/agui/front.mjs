// A front end: drives @ag-ui/client through the runs that it is told of, and prints what the application would see.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, url, plan] = process.argv.slice(2);
const require = createRequire(pathToFileURL(folder + "/x.js"));
const { HttpAgent } = require("@ag-ui/client");
const told = JSON.parse(plan);

const agent = new HttpAgent({
  url,
  threadId: told.thread,
  initialState: told.state ?? {},
  headers: told.headers ?? {},
});
for (const message of told.messages ?? []) agent.addMessage(message);

// Clients from before 1.0 aren't told which calls wait: they are those without a result.
function unanswered() {
  const answered = new Set(agent.messages.map((message) => message.toolCallId));
  return agent.messages.flatMap((message) => message.toolCalls ?? []).map((call) => call.id).filter((id) => !answered.has(id));
}

let pending = [];
let interrupts = [];
const runs = [];
for (const run of told.runs) {
  for (const message of run.say ?? []) agent.addMessage(message);
  for (const id of run.tools_answer ? pending : []) {
    agent.addMessage({ id: "result-" + id, role: "tool", toolCallId: id, content: run.tools_answer });
  }
  const parameters = { ...(run.parameters ?? {}) };
  if ("resolve" in run)
    parameters.resume = interrupts.map((each) => ({ interruptId: each.id, status: "resolved", payload: run.resolve }));
  if (run.abandon) parameters.resume = interrupts.map((each) => ({ interruptId: each.id, status: "cancelled" }));
  const seen = { events: [], errors: [], outcome: null };
  pending = [];
  interrupts = [];
  const subscriber = {
    onEvent: ({ event }) => {
      seen.events.push(event);
      if (run.hang_up_at && event.type === run.hang_up_at) agent.abortRun();
    },
    onRunFinishedEvent: (end) => {
      seen.outcome = end.outcome;
      pending = end.pendingToolCallIds ?? (run.waits_for_calls ? unanswered() : []);
      interrupts = end.interrupts ?? [];
    },
    onRunErrorEvent: ({ event }) => seen.errors.push(event.message),
    onRunFailed: ({ error }) => seen.errors.push(String(error)),
  };
  try {
    const { result } = await agent.runAgent(parameters, subscriber);
    seen.result = result ?? null;
  } catch (error) {
    seen.errors.push(String(error));
  }
  seen.messages = structuredClone(agent.messages);
  seen.state = structuredClone(agent.state);
  seen.pending = pending;
  seen.interrupts = interrupts;
  runs.push(seen);
}
process.stdout.write(JSON.stringify(runs));
