// Reads [{policy, action, resource, context, principal, owner, resourcePolicy}, ...] on the standard input and writes the
// result of each, such as "Allowed". `owner` is the account of the resource.
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const ACCOUNT = "123456789012";
const CALLER = `arn:aws:iam::${ACCOUNT}:role/caller`;

async function result({ policy, action, resource, context = {}, principal = CALLER, owner = ACCOUNT, resourcePolicy }) {
  const simulation = {
    request: {
      principal,
      action,
      resource: { resource, accountId: owner },
      contextVariables: context,
    },
    identityPolicies: [{ name: "caller", policy }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy,
  };
  const answer = await runSimulation(simulation, {});
  if (!answer.overallResult) throw new Error(JSON.stringify(answer));
  return answer.overallResult;
}

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(asked.map(result))));
