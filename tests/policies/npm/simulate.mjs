// Reads [{policy, action, resource, context, owner, resourcePolicy}, ...] on the standard input and writes the result of
// each, such as "Allowed". `owner` is the account of the resource; without it, the caller's own.
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const ACCOUNT = "123456789012";

async function result({ policy, action, resource, context = {}, owner = ACCOUNT, resourcePolicy }) {
  const simulation = {
    request: {
      principal: `arn:aws:iam::${ACCOUNT}:role/caller`,
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
