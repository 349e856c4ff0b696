// Agents that remember: three callers at once, who write one table with @mastra/dynamodb.
// node agents.mjs ENDPOINT CALLS SEED. Prints, as JSON, the messages that were saved, and what was saved for a moment.

import { DynamoDBStore } from "@mastra/dynamodb";

const [endpoint, calls, seed] = process.argv.slice(2);
const CALLERS = 3;
const BEGIN = Date.parse("2026-09-01T08:00:00Z");
const DAY = 86_400;
const WORDS = ["tea", "mug", "refund", "parcel", "größe"];

function store(seconds) {
  const ttl = Object.fromEntries(Object.entries(seconds).map(([entity, each]) => [entity, { enabled: true, defaultTtlSeconds: each }]));
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const config = { id: "memory", region: "us-east-1", tableName: "agent_memory", endpoint, credentials, ttl };
  return new DynamoDBStore({ name: "memory", config }).stores;
}

const lasting = store({ thread: 90 * DAY, message: 30 * DAY, workflow_snapshot: 7 * DAY });
const fleeting = store({ thread: 2, message: 2 });

/** Numbers from 0 to below 1, the same for the same seed: https://github.com/bryc/code/blob/master/jshash/PRNGs.md */
function numbers(start) {
  let state = start;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
  };
}

class Caller {
  constructor(number) {
    this.number = number;
    this.next = numbers(Number(seed) * 1000 + number);
    this.minutes = 0;
    this.threads = [];
    this.messages = [];
    this.journal = { messages: [], fleeting: [] };
  }

  below(many) {
    return Math.floor(this.next() * many);
  }

  one(members) {
    return members[this.below(members.length)];
  }

  now() {
    this.minutes += 7;
    return new Date(BEGIN + this.minutes * 60_000);
  }

  async run(many) {
    await this.begin();
    const steps = [this.begin, this.say, this.say, this.say, this.say, this.amend, this.move, this.forget, this.rename];
    steps.push(this.work, this.learn, this.judge, this.scribble, this.end);
    for (let call = 0; call < many; call += 1) await this.one(steps).call(this);
  }

  async begin(stores = lasting, kind = "t") {
    const id = `${kind}-${this.number}-${this.minutes}`;
    const thread = { id, resourceId: `user-${this.below(4)}`, title: `About ${this.one(WORDS)}`, metadata: { channel: this.one(["web", "mail"]) } };
    const at = this.now();
    await stores.memory.saveThread({ thread: { ...thread, createdAt: at, updatedAt: at } });
    if (stores === lasting) this.threads.push(id);
    return id;
  }

  message(threadId, kind) {
    const parts = [{ type: "text", text: `A ${this.one(WORDS)}, and a ${this.one(WORDS)}.` }];
    if (this.below(4) === 0) parts.push({ type: "file", mimeType: "image/png", data: "iVBORw0KGgo".repeat(4000 + this.below(1000)) });
    const content = { format: 2, parts, metadata: { topic: this.one(WORDS), mood: { score: this.below(100) / 100 } } };
    const at = this.now();
    const id = `${kind}-${this.number}-${this.minutes}`;
    return { id, threadId, resourceId: "user-0", role: this.one(["user", "assistant"]), type: "v2", content, createdAt: at };
  }

  async say() {
    if (!this.threads.length) return;
    const threadId = this.one(this.threads);
    const messages = Array.from({ length: 1 + this.below(2) }, () => this.message(threadId, "m"));
    await lasting.memory.saveMessages({ messages });
    for (const each of messages) {
      this.messages.push({ id: each.id, threadId });
      this.journal.messages.push(each.id);
    }
  }

  /** One of the messages that this caller has saved and not deleted. Nobody else writes them. */
  async own(write) {
    if (this.messages.length) await write(this.one(this.messages));
  }

  amend() {
    const content = { metadata: { topic: this.one(WORDS), read: true } };
    return this.own(({ id }) => lasting.memory.updateMessages({ messages: [{ id, content }] }));
  }

  move() {
    return this.own(async (message) => {
      if (!this.threads.length) return;
      message.threadId = this.one(this.threads);
      await lasting.memory.updateMessages({ messages: [{ id: message.id, threadId: message.threadId }] });
    });
  }

  forget() {
    return this.own(async ({ id }) => {
      await lasting.memory.deleteMessages([id]);
      this.messages = this.messages.filter((each) => each.id !== id);
    });
  }

  async rename() {
    if (this.threads.length) await lasting.memory.updateThread({ id: this.one(this.threads), title: `Again ${this.one(WORDS)}`, metadata: {} });
  }

  async end() {
    if (this.threads.length < 3) return;
    const threadId = this.one(this.threads);
    await lasting.memory.deleteThread({ threadId });
    this.threads = this.threads.filter((each) => each !== threadId);
    this.messages = this.messages.filter((each) => each.threadId !== threadId);
  }

  /** A run of a workflow, saved at each of its steps. A snapshot may hold anything. */
  async work() {
    const runId = `run-${this.number}-${this.below(5)}`;
    const step = this.one(["fetch", "think", "answer"]);
    const context = { input: { query: this.one(WORDS) }, [step]: { status: "success", output: { [this.one(WORDS)]: [this.below(9), null, "x"] } } };
    const snapshot = { runId, status: this.one(["running", "success", "suspended"]), value: {}, context, timestamp: this.minutes };
    await lasting.workflows.persistWorkflowSnapshot({ workflowName: "answering", runId, resourceId: "user-0", snapshot });
  }

  async learn() {
    const id = `user-${this.below(4)}`;
    await lasting.memory.saveResource({ resource: { id, workingMemory: `likes ${this.one(WORDS)}`, metadata: {}, createdAt: this.now(), updatedAt: this.now() } });
  }

  async judge() {
    const scorerId = this.one(["tone", "facts"]);
    const entity = { id: "agent-1" };
    const scored = { scorerId, entityId: "agent-1", runId: `run-${this.number}-0`, input: "question", output: "answer", score: this.below(101) / 100, scorer: { id: scorerId }, source: "LIVE", entity };
    await lasting.scores.saveScore(scored);
  }

  /** A thread and a message of it that expire. */
  async scribble() {
    const threadId = await this.begin(fleeting, "scratch");
    const message = this.message(threadId, "note");
    await fleeting.memory.saveMessages({ messages: [message] });
    this.journal.fleeting.push([message.id, threadId]);
  }
}

const callers = Array.from({ length: CALLERS }, (_, number) => new Caller(number));
await Promise.all(callers.map((each) => each.run(Math.floor(Number(calls) / CALLERS))));
const all = (name) => callers.flatMap((each) => each.journal[name]);
console.log(JSON.stringify({ messages: all("messages"), fleeting: all("fleeting") }));
process.exit(0);
