// The shop's application: four callers at once, who write three tables with ElectroDB.
// node shop.mjs ENDPOINT CALLS SEED. Prints the ids and customers of the orders that were paid, as JSON.

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { Entity, createWriteTransaction } from "electrodb";

const [endpoint, calls, seed] = process.argv.slice(2);
const credentials = { accessKeyId: "test", secretAccessKey: "test" };
const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials });

const CALLERS = 4;
const COUNTRIES = ["DE", "FR", "NL", "PT"];
const STAFF = ["s0", "s1", "s2", "s3", "s4"];
const BEGIN = Date.parse("2026-09-01T00:00:00Z");

// The key is the attribute `id` alone, as the tables have it.
const indexes = { byId: { pk: { field: "id", composite: ["id"], template: "${id}", casing: "none" } } };

function entity(name, table, attributes) {
  const model = { entity: name, version: "1", service: "shop" };
  const all = { id: { type: "string", required: true }, by: { type: "string" }, ...attributes };
  return new Entity({ model, attributes: all, indexes }, { client, table });
}

const line = { type: "map", properties: { sku: { type: "string" }, quantity: { type: "number" }, price: { type: "number" } } };

const order = entity("order", "orders", {
  customer: { type: "string", required: true },
  status: { type: ["open", "paid", "refunded", "cancelled"], default: "open" },
  country: { type: "string" },
  placed_at: { type: "string", required: true },
  total: { type: "number" },
  lines: { type: "list", items: line },
});

const customer = entity("customer", "customers", {
  name: { type: "string", required: true },
  email: { type: "string" },
  active: { type: "boolean" },
  address: { type: "map", properties: { city: { type: "string" } } },
  orders: { type: "number" },
});

const product = entity("product", "products", {
  name: { type: "string", required: true },
  category: { type: "string" },
  price: { type: "number" },
});

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
    this.placed = [];
    this.paid = [];
  }

  below(many) {
    return Math.floor(this.next() * many);
  }

  one(members) {
    return members[this.below(members.length)];
  }

  async run(many) {
    const steps = [this.place, this.place, this.pay, this.pay, this.edit, this.end, this.remove, this.know, this.offer];
    for (let call = 0; call < many; call += 1) await this.one(steps).call(this);
  }

  lines() {
    return Array.from({ length: 1 + this.below(4) }, () => ({
      sku: `p-${this.below(8)}`,
      quantity: 1 + this.below(5),
      price: this.below(9000) / 100,
    }));
  }

  async place() {
    const lines = this.lines();
    const cents = lines.reduce((sum, each) => sum + each.quantity * Math.round(each.price * 100), 0);
    const placed = {
      id: `o-${this.number}-${this.placed.length}`,
      customer: `c-${this.below(10)}`,
      status: this.one(["open", "open", "paid"]),
      country: this.one(COUNTRIES),
      placed_at: new Date(BEGIN + this.below(20 * 96) * 900_000).toISOString(),
      total: cents / 100,
      lines,
      by: this.one(STAFF),
    };
    // The order and its customer's number of orders, both or none.
    const counted = customer.update({ id: placed.customer }).add({ orders: 1 }).data(({ name }, { ifNotExists }) => ifNotExists(name, "?"));
    const done = await createWriteTransaction({ order, customer }, () => [order.create(placed).commit(), counted.commit()]).go();
    if (done.canceled) return;
    this.placed.push({ id: placed.id, customer: placed.customer, there: true });
    if (placed.status === "paid") this.paid.push([placed.id, placed.customer]);
  }

  /** One of the orders that this caller has placed and not removed. Nobody else writes them. */
  async own(write) {
    const there = this.placed.filter((each) => each.there);
    if (there.length) await write(this.one(there));
  }

  pay() {
    return this.own(async ({ id, customer: by }) => {
      await order.patch({ id }).set({ status: "paid", by: this.one(STAFF) }).go();
      this.paid.push([id, by]);
    });
  }

  edit() {
    return this.own(({ id }) => order.patch({ id }).set({ lines: this.lines(), country: this.one(COUNTRIES) }).go());
  }

  end() {
    return this.own(({ id }) => order.patch({ id }).set({ status: this.one(["refunded", "cancelled"]) }).go());
  }

  remove() {
    return this.own(async (placed) => {
      placed.there = false;
      await order.remove({ id: placed.id }).go();
    });
  }

  /** Several callers write the same customers. */
  async know() {
    const id = `c-${this.below(10)}`;
    if (this.below(5) === 0) return customer.delete({ id }).go();
    const name = this.one(["Ada", "Grace \"Hopper\"", "Ålesund & søn", "名前"]);
    const address = this.below(4) ? { city: this.one(["Faro", "Lyon", "Köln"]) } : {};
    const known = { name, email: `User.${this.below(99)}@Example.COM`, active: this.below(3) > 0, address, by: this.one(STAFF) };
    return customer.upsert({ id, ...known }).go();
  }

  async offer() {
    const id = `p-${this.below(8)}`;
    if (this.below(6) === 0) return product.delete({ id }).go();
    const category = this.one(["books", "games", "tools"]);
    return product.put({ id, name: this.one(["Atlas", "Go", "Plane"]), category, price: this.below(9000) / 100, by: this.one(STAFF) }).go();
  }
}

const callers = Array.from({ length: CALLERS }, (_, number) => new Caller(number));
await Promise.all(callers.map((each) => each.run(Math.floor(Number(calls) / CALLERS))));
console.log(JSON.stringify({ paid: callers.flatMap((each) => each.paid) }));
